/*
 * Help as a document; as text it is ph_command_write_help(). Private to command/.
 */
#ifndef PH_COMMAND_HELP_H
#define PH_COMMAND_HELP_H

struct ph_command;
struct ph_doc;

/* Describe one command, or all with NULL. */
void ph_help_document(struct ph_doc *doc, const struct ph_command *command);

#endif
