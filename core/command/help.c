#include "command/help.h"

#include "base/str.h"
#include "command/option.h"
#include "render/doc.h"

#include <string.h>

enum { LINE_WIDTH = 80, NAME_COLUMN = 2, HELP_COLUMN = 24, LONGEST_LIST = 50 };

/* ---- text ---- */

/* Write words, broken into lines; the first line already has `at` columns, the others are indented.
 */
static void write_wrapped(const char *text, size_t len, size_t at, size_t indent, FILE *out)
{
    const char *end = text + len;

    while (text < end) {
        size_t word = strcspn(text, " \n");
        if (word > (size_t)(end - text))
            word = (size_t)(end - text);
        if (at > indent && at + 1 + word > LINE_WIDTH) {
            fprintf(out, "\n%*s", (int)indent, "");
            at = indent;
        }
        at += (size_t)fprintf(out, "%s%.*s", at > indent ? " " : "", (int)word, text);
        text += word;
        text += strspn(text, " \n");
    }
    putc('\n', out);
}

/* Paragraphs stand between empty lines; one that begins with a space is an example and kept as it
 * is. */
static void write_paragraphs(const char *text, FILE *out)
{
    while (*text) {
        const char *gap = strstr(text, "\n\n");
        size_t len = gap ? (size_t)(gap - text) : strlen(text);
        putc('\n', out);
        if (*text == ' ')
            fprintf(out, "%.*s\n", (int)len, text);
        else
            write_wrapped(text, len, 0, 0, out);
        text += gap ? len + 2 : len;
    }
}

/* "  NAME     help", with the help on a line of its own where the name is long. */
static void write_entry(const char *name, const char *help, FILE *out)
{
    int at = fprintf(out, "%*s%s", NAME_COLUMN, "", name);

    if (at + 2 > HELP_COLUMN) {
        putc('\n', out);
        at = 0;
    }
    fprintf(out, "%*s", HELP_COLUMN - at, "");
    write_wrapped(help, strlen(help), HELP_COLUMN, HELP_COLUMN, out);
}

static void write_commands(const char *prefix, FILE *out)
{
    const struct ph_command *command;

    fprintf(out,
            "Look into the heap of a CPython process: what fills it, and who holds it.\n"
            "\n"
            "Usage: %s COMMAND [OPERANDS] [OPTIONS]\n"
            "\n"
            "Commands:\n",
            prefix);
    for (size_t i = 0; (command = ph_command_at(i)); i++)
        write_entry(command->name, command->brief, out);
    fprintf(out, "\n'%s help COMMAND' tells more about one.\n", prefix);
}

/* Whether what may be given is too much for the option's own line. */
static bool has_long_list(enum ph_option_id id)
{
    const char *value = ph_option_list[id].value_name;
    return value && strlen(value) > LONGEST_LIST;
}

/* "--sort KEY", "-o, --output FILE" */
static void format_option(struct ph_str *text, enum ph_option_id id)
{
    const struct ph_option *option = &ph_option_list[id];

    if (ph_option_letter(id))
        ph_str_appendf(text, "-%c, ", ph_option_letter(id));
    ph_str_appendf(text, "--%s", option->name);
    if (option->value_name)
        ph_str_appendf(text, " %s", has_long_list(id) ? "NAME" : option->value_name);
}

/* What it does and, where that depends on the command, what it takes. */
static void format_option_help(struct ph_str *text, const struct ph_command *command,
                               enum ph_option_id id)
{
    const char *key;
    char buf[32];

    ph_str_append(text, ph_option_list[id].help);
    if (id != PH_OPTION_sort && !has_long_list(id))
        return;
    for (size_t i = 0; (key = ph_option_choice(command, id, i, buf)); i++)
        ph_str_appendf(text, "%s%s", i ? ", " : ": ", key);
}

static void write_option(const struct ph_command *command, enum ph_option_id id, FILE *out)
{
    struct ph_str name = {0}, help = {0};

    format_option(&name, id);
    format_option_help(&help, command, id);
    write_entry(ph_str_text(&name), ph_str_text(&help), out);
    ph_str_free(&name);
    ph_str_free(&help);
}

static void write_options(const struct ph_command *command, uint64_t which, FILE *out)
{
    for (unsigned id = 0; id < PH_OPTION_COUNT; id++)
        if (which & 1ull << id)
            write_option(command, id, out);
}

static void write_command(const struct ph_command *command, const char *prefix, FILE *out)
{
    uint64_t own = ph_options_of(command) & ~ph_options_common;
    bool operands = command->operands_text && *command->operands_text;

    fprintf(out, "Usage: %s %s%s%s [OPTIONS]\n", prefix, command->name, operands ? " " : "",
            operands ? command->operands_text : "");
    write_paragraphs(command->help, out);
    fputs("\nOptions:\n", out);
    write_options(command, own, out);
    write_options(command, ph_options_common, out);
}

void ph_command_write_help(const struct ph_command *command, const char *prefix, FILE *out)
{
    if (command)
        write_command(command, prefix, out);
    else
        write_commands(prefix, out);
}

/* ---- document ---- */

static void describe_option(struct ph_doc *doc, const struct ph_command *command,
                            enum ph_option_id id)
{
    const struct ph_option *option = &ph_option_list[id];
    struct ph_str help = {0};

    format_option_help(&help, command, id);
    ph_doc_object_begin(doc, NULL);
    ph_doc_text(doc, "name", NULL, option->name);
    if (option->value_name)
        ph_doc_text(doc, "value", NULL, option->value_name);
    ph_doc_text(doc, "help", NULL, ph_str_text(&help));
    ph_doc_object_end(doc);
    ph_str_free(&help);
}

static void describe_command(struct ph_doc *doc, const struct ph_command *command)
{
    uint64_t taken = ph_options_of(command);

    ph_doc_object_begin(doc, NULL);
    ph_doc_text(doc, "name", NULL, command->name);
    ph_doc_text(doc, "operands", NULL, command->operands_text);
    ph_doc_text(doc, "brief", NULL, command->brief);
    ph_doc_text(doc, "help", NULL, command->help);
    ph_doc_array_begin(doc, "options");
    for (unsigned id = 0; id < PH_OPTION_COUNT; id++)
        if (taken & 1ull << id)
            describe_option(doc, command, id);
    ph_doc_array_end(doc);
    ph_doc_object_end(doc);
}

void ph_help_document(struct ph_doc *doc, const struct ph_command *command)
{
    ph_doc_text(doc, "command", NULL, "help");
    ph_doc_array_begin(doc, "commands");
    if (command)
        describe_command(doc, command);
    for (size_t i = 0; !command && ph_command_at(i); i++)
        describe_command(doc, ph_command_at(i));
    ph_doc_array_end(doc);
}

/* ---- the command ---- */

/* Never run: ph_invocation_parse() turns it into help about its operand. */
const struct ph_command ph_command_help = {
    .name = "help",
    .operands_text = "[COMMAND]",
    .brief = "list the commands, or tell about one",
    .help = "Without a command, list all commands. With one, tell what it does, what it takes and "
            "which "
            "options it has.",
    .operands = PH_OPERANDS_TEXT_OPTIONAL,
};
