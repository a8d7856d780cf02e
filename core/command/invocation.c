#include "command/command.h"

#include "base/arena.h"
#include "base/array.h"
#include "base/str.h"
#include "command/option.h"
#include "command/suggest.h"

#include <ctype.h>
#include <popt.h>
#include <stdlib.h>
#include <string.h>

extern const struct ph_command ph_command_help;

/* One line while it is parsed. */
struct parser {
    struct ph_invocation *inv;
    struct ph_arena *memory;      /* inv->memory */
    PH_ARRAY(const char *) words; /* the operands as typed, in memory */
    struct ph_error *err;
};

static enum ph_status out_of_memory(struct ph_error *err)
{
    return ph_fail(err, PH_NO_MEMORY, "out of memory");
}

/* ---- the command's name ---- */

static enum ph_status fail_command(const char *name, struct ph_error *err)
{
    struct ph_suggestion near = {.word = name};

    for (size_t i = 0; ph_command_at(i); i++)
        ph_suggest(&near, ph_command_at(i)->name);
    if (near.best)
        return ph_fail(err, PH_USAGE, "no command '%.40s'; did you mean '%s'?", name, near.best);
    return ph_fail(err, PH_USAGE, "no command '%.40s'; 'help' lists them", name);
}

static enum ph_status find_command(const char *name, const struct ph_command **command,
                                   struct ph_error *err)
{
    *command = ph_command_named(name);
    return *command ? PH_OK : fail_command(name, err);
}

/* ---- options ----
 *
 * popt takes every word that begins with '-' for an option. The operands may be parts of an
 * expression, so words such as "-8" and "-$rdi" are handed to it behind a mark that it does not
 * look at. */

enum { OPERAND_MARK = '\1' };

static bool is_operand_with_dash(const char *word)
{
    return word[0] == '-' && word[1] && word[1] != '-' && !isalpha((unsigned char)word[1]);
}

static const char *mark_operand(struct parser *p, const char *word)
{
    size_t len = strlen(word);
    char *marked = ph_arena_alloc(p->memory, len + 2);

    if (marked) {
        marked[0] = OPERAND_MARK;
        memcpy(marked + 1, word, len + 1);
    }
    return marked;
}

/* The word as typed, in the invocation's memory. */
static const char *keep_word(struct parser *p, const char *word)
{
    return ph_arena_strdup(p->memory, word[0] == OPERAND_MARK ? word + 1 : word);
}

static const char **copy_argv(struct parser *p, size_t argc, const char *const *argv)
{
    const char **copy = ph_arena_alloc(p->memory, (argc + 1) * sizeof *copy);

    for (size_t i = 0; copy && i < argc; i++) {
        copy[i] = is_operand_with_dash(argv[i]) ? mark_operand(p, argv[i]) : argv[i];
        if (!copy[i])
            return NULL;
    }
    return copy;
}

/* popt's table of the options that the command takes; val is the option's id + 1. */
static void fill_table(struct poptOption table[PH_OPTION_COUNT + 1],
                       const struct ph_command *command)
{
    uint64_t taken = ph_options_of(command);
    size_t used = 0;

    memset(table, 0, (PH_OPTION_COUNT + 1) * sizeof *table);
    for (unsigned id = 0; id < PH_OPTION_COUNT; id++) {
        const struct ph_option *option = &ph_option_list[id];
        if (!(taken & 1ull << id))
            continue;
        table[used++] = (struct poptOption){
            .longName = option->name,
            .shortName = ph_option_letter(id),
            .argInfo = option->type == PH_OPTION_TYPE_flag ? POPT_ARG_NONE : POPT_ARG_STRING,
            .val = (int)id + 1,
        };
    }
}

/* `bad` is an option as typed, perhaps with its value: "--limt=5". */
static enum ph_status fail_option(const struct ph_command *command, const char *bad,
                                  struct ph_error *err)
{
    uint64_t taken = ph_options_of(command);
    char name[32];

    snprintf(name, sizeof name, "%.*s", (int)strcspn(bad, "="), bad);
    struct ph_suggestion near = {.word = name + strspn(name, "-")};
    for (unsigned id = 0; id < PH_OPTION_COUNT; id++) {
        if (taken & 1ull << id)
            ph_suggest(&near, ph_option_list[id].name);
        else if (!strcmp(near.word, ph_option_list[id].name))
            return ph_fail(err, PH_USAGE, "'%s' takes no --%s", command->name, near.word);
    }
    if (near.best)
        return ph_fail(err, PH_USAGE, "no option '%s'; did you mean '--%s'?", name, near.best);
    return ph_fail(err, PH_USAGE, "no option '%s'; 'help %s' lists them", name, command->name);
}

static enum ph_status fail_popt(const struct ph_command *command, poptContext popt, int status,
                                struct ph_error *err)
{
    const char *bad = poptBadOption(popt, POPT_BADOPTION_NOALIAS);

    if (status == POPT_ERROR_BADOPT)
        return fail_option(command, bad, err);
    if (status == POPT_ERROR_NOARG)
        return ph_fail(err, PH_USAGE, "%.60s needs a value", bad);
    return ph_fail(err, PH_USAGE, "%.60s: %.100s", bad, poptStrerror(status));
}

static enum ph_status set_option(struct parser *p, enum ph_option_id id, const char *typed)
{
    const char *value = NULL;

    if (typed && !(value = keep_word(p, typed)))
        return out_of_memory(p->err);
    return ph_option_set(&p->inv->options, p->inv->command, id, value, p->err);
}

static enum ph_status collect_options(struct parser *p, poptContext popt)
{
    int val;

    while ((val = poptGetNextOpt(popt)) > 0) {
        char *typed = poptGetOptArg(popt);
        enum ph_status status = set_option(p, (enum ph_option_id)(val - 1), typed);
        free(typed);
        if (status)
            return status;
    }
    return val < -1 ? fail_popt(p->inv->command, popt, val, p->err) : PH_OK;
}

static enum ph_status collect_operands(struct parser *p, poptContext popt)
{
    const char *typed;

    while ((typed = poptGetArg(popt))) {
        const char *word = keep_word(p, typed);
        if (!word || !ph_array_push(&p->words, word))
            return out_of_memory(p->err);
    }
    return PH_OK;
}

static enum ph_status split_line(struct parser *p, size_t argc, const char *const *argv)
{
    struct poptOption table[PH_OPTION_COUNT + 1];
    const char **copy = copy_argv(p, argc, argv);
    enum ph_status status;

    fill_table(table, p->inv->command);
    poptContext popt = copy ? poptGetContext("py-heap", (int)argc, copy, table, 0) : NULL;
    if (!popt)
        return out_of_memory(p->err);
    status = collect_options(p, popt);
    if (!status)
        status = collect_operands(p, popt);
    poptFreeContext(popt);
    return status;
}

/* ---- operands ---- */

static bool takes_addresses(const struct ph_command *command)
{
    return command->operands == PH_OPERANDS_ADDR ||
           command->operands == PH_OPERANDS_ADDR_OPTIONAL || command->operands == PH_OPERANDS_ADDRS;
}

static bool takes_files(const struct ph_command *command)
{
    return command->operands == PH_OPERANDS_FILE || command->operands == PH_OPERANDS_FILES;
}

static bool parse_literal(const char *word, ph_addr *address)
{
    const char *end;

    return ph_parse_number(word, &end, address) && !*end;
}

static bool all_literals(const struct parser *p)
{
    ph_addr ignored;

    for (uint32_t i = 0; i < p->words.count; i++)
        if (!parse_literal(p->words.items[i], &ignored))
            return false;
    return true;
}

static enum ph_status make_joined(struct parser *p)
{
    struct ph_str text = {0};

    for (uint32_t i = 0; i < p->words.count; i++) {
        ph_str_append(&text, i ? " " : "");
        ph_str_append(&text, p->words.items[i]);
    }
    p->inv->operand_count = 1;
    p->inv->operands[0].text = text.failed ? NULL : ph_arena_strdup(p->memory, ph_str_text(&text));
    ph_str_free(&text);
    return p->inv->operands[0].text ? PH_OK : out_of_memory(p->err);
}

/* Each word is an operand: a literal address, or the name of a file. */
static void make_separate(struct parser *p)
{
    for (uint32_t i = 0; i < p->words.count; i++) {
        struct ph_operand *operand = &p->inv->operands[i];
        operand->text = p->words.items[i];
        operand->resolved =
            !takes_files(p->inv->command) && parse_literal(operand->text, &operand->address);
    }
    p->inv->operand_count = p->words.count;
}

static enum ph_status make_operands(struct parser *p)
{
    if (p->words.count == 0)
        return PH_OK;
    p->inv->operands = ph_arena_alloc(p->memory, p->words.count * sizeof *p->inv->operands);
    if (!p->inv->operands)
        return out_of_memory(p->err);
    bool separate =
        takes_files(p->inv->command) || (takes_addresses(p->inv->command) && all_literals(p));
    if (!separate)
        return make_joined(p);
    make_separate(p);
    return PH_OK;
}

static enum ph_status check_operand_count(const struct ph_invocation *inv, struct ph_error *err)
{
    const struct ph_command *command = inv->command;
    bool none = inv->operand_count == 0, many = inv->operand_count > 1;

    switch (command->operands) {
    case PH_OPERANDS_NONE:
        if (!none)
            return ph_fail(err, PH_USAGE, "'%s' takes no operands, but there is '%.60s'",
                           command->name, inv->operands[0].text);
        break;
    case PH_OPERANDS_ADDR:
    case PH_OPERANDS_ADDR_OPTIONAL:
        if (many)
            return ph_fail(err, PH_USAGE, "'%s' takes one address, not %zu", command->name,
                           inv->operand_count);
        if (none && command->operands == PH_OPERANDS_ADDR)
            return ph_fail(err, PH_USAGE, "'%s' needs an address", command->name);
        break;
    case PH_OPERANDS_ADDRS:
        if (none)
            return ph_fail(err, PH_USAGE, "'%s' needs an address", command->name);
        break;
    case PH_OPERANDS_TEXT:
        if (none)
            return ph_fail(err, PH_USAGE, "'%s' needs %s", command->name, command->operands_text);
        break;
    case PH_OPERANDS_FILE:
    case PH_OPERANDS_FILES:
        if (none)
            return ph_fail(err, PH_USAGE, "'%s' needs %s", command->name, command->operands_text);
        if (inv->operand_count > (command->operands == PH_OPERANDS_FILE ? 1 : 2))
            return ph_fail(err, PH_USAGE,
                           "'%s' takes %s, and there are %zu words; quote a name with spaces",
                           command->name, command->operands_text, inv->operand_count);
        break;
    case PH_OPERANDS_TEXT_OPTIONAL:
        break;
    }
    return PH_OK;
}

/* `help top` is `top --help`, and `help` is help about no command. */
static enum ph_status turn_into_help(struct parser *p)
{
    struct ph_invocation *inv = p->inv;

    inv->help = true;
    if (inv->options.help) /* `help --help` */
        return PH_OK;
    inv->command = NULL;
    if (inv->operand_count == 0)
        return PH_OK;
    return find_command(inv->operands[0].text, &inv->command, p->err);
}

/* ---- the whole line ---- */

static enum ph_status parse_words(struct parser *p, size_t argc, const char *const *argv)
{
    enum ph_status status = split_line(p, argc, argv);

    if (!status)
        status = make_operands(p);
    if (status)
        return status;
    if (p->inv->command == &ph_command_help)
        return turn_into_help(p);
    p->inv->help = p->inv->options.help;
    return p->inv->help ? PH_OK : check_operand_count(p->inv, p->err);
}

enum ph_status ph_invocation_parse(struct ph_invocation *inv, size_t argc, const char *const *argv,
                                   struct ph_error *err)
{
    *inv = (struct ph_invocation){0};
    ph_options_init(&inv->options);
    if (argc == 0)
        return ph_fail(err, PH_USAGE, "no command given; 'help' lists them");
    enum ph_status status = find_command(argv[0], &inv->command, err);
    if (status)
        return status;
    struct parser p = {.inv = inv, .err = err};
    p.memory = inv->memory = ph_calloc(1, sizeof *p.memory);
    status = inv->memory ? parse_words(&p, argc, argv) : out_of_memory(err);
    ph_array_free(&p.words);
    if (status)
        ph_invocation_free(inv);
    return status;
}

void ph_invocation_free(struct ph_invocation *inv)
{
    if (inv->memory)
        ph_arena_free(inv->memory);
    free(inv->memory);
    *inv = (struct ph_invocation){0};
}

struct ph_operand *ph_invocation_unresolved(const struct ph_invocation *inv)
{
    if (inv->help || !takes_addresses(inv->command))
        return NULL;
    for (size_t i = 0; i < inv->operand_count; i++)
        if (!inv->operands[i].resolved)
            return &inv->operands[i];
    return NULL;
}

bool ph_command_spares_target(const struct ph_command *command)
{
    return command->spares_target;
}

bool ph_invocation_wants_target(const struct ph_invocation *inv)
{
    return !inv->help &&
           !(ph_command_spares_target(inv->command) && inv->command->spares_target(inv));
}
