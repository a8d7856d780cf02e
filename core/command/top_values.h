/* `top --group-by value`. */
#ifndef PH_COMMAND_TOP_VALUES_H
#define PH_COMMAND_TOP_VALUES_H

#include "command/session.h"

/* Like a command's run. */
enum ph_status ph_top_values(struct ph_session *s, const struct ph_invocation *inv,
                             struct ph_doc *doc, struct ph_error *err) PH_MUST_USE;

#endif
