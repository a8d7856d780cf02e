/*
 * The options of options.def as data, and which of them a command takes. Private to command/.
 */
#ifndef PH_COMMAND_OPTION_H
#define PH_COMMAND_OPTION_H

#include "command/command.h"

enum ph_option_type { PH_OPTION_TYPE_flag, PH_OPTION_TYPE_number, PH_OPTION_TYPE_string };

struct ph_option {
    const char *name;
    enum ph_option_type type;
    const char *value_name; /* "N", or all that may be given: "type|module"; NULL for a flag */
    const char *help;
    size_t offset; /* of the value in struct ph_options */
};

extern const struct ph_option ph_option_list[PH_OPTION_COUNT];

char ph_option_letter(enum ph_option_id id); /* '\0' where there is none */

/* PH_TAKES() bits of the options that every command takes. */
extern const uint64_t ph_options_common;
/* PH_TAKES() bits of all that the command takes; NULL stands for `help` without a command. */
uint64_t ph_options_of(const struct ph_command *command);

/* The i-th value that the option may be given in this command, in buf; NULL past the end, and at
 * once where anything goes. */
const char *ph_option_choice(const struct ph_command *command, enum ph_option_id id, size_t i,
                             char buf[32]);

/* Before the first ph_option_set(). */
void ph_options_init(struct ph_options *options);
/* Store the option's value; text is borrowed, and NULL for a flag. PH_USAGE where it is no number,
 * or not one of the choices. */
enum ph_status ph_option_set(struct ph_options *options, const struct ph_command *command,
                             enum ph_option_id id, const char *text,
                             struct ph_error *err) PH_MUST_USE;

/* A decimal or 0x... number at the start of text; *end is set behind it. False where there is none,
 * or where it does not fit. */
bool ph_parse_number(const char *text, const char **end, uint64_t *value);

#endif
