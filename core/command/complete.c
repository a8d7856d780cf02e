#include "command/command.h"

#include "command/option.h"

#include <string.h>

/* The word to complete, and where the candidates go. */
struct completion {
    const char *word;
    void (*add)(void *ctx, const char *word);
    void *ctx;
};

static void offer(const struct completion *c, const char *candidate)
{
    if (!strncmp(candidate, c->word, strlen(c->word)))
        c->add(c->ctx, candidate);
}

static void offer_commands(const struct completion *c)
{
    for (size_t i = 0; ph_command_at(i); i++)
        offer(c, ph_command_at(i)->name);
}

static void offer_options(const struct completion *c, const struct ph_command *command)
{
    uint64_t taken = ph_options_of(command);
    char name[40];

    for (unsigned id = 0; id < PH_OPTION_COUNT; id++) {
        if (!(taken & 1ull << id))
            continue;
        snprintf(name, sizeof name, "--%s", ph_option_list[id].name);
        offer(c, name);
    }
}

static void offer_choices(const struct completion *c, const struct ph_command *command,
                          enum ph_option_id id)
{
    const char *choice;
    char buf[32];

    for (size_t i = 0; (choice = ph_option_choice(command, id, i, buf)); i++)
        offer(c, choice);
}

/* The option that still waits for its value after this word; PH_OPTION_COUNT where there is none.
 */
static unsigned waiting_option(const struct ph_command *command, const char *word)
{
    uint64_t taken = ph_options_of(command);

    for (unsigned id = 0; id < PH_OPTION_COUNT; id++) {
        const struct ph_option *option = &ph_option_list[id];
        if (!(taken & 1ull << id) || option->type == PH_OPTION_TYPE_flag || word[0] != '-')
            continue;
        if (word[1] == '-' && !strcmp(word + 2, option->name))
            return id;
        if (word[1] && word[1] == ph_option_letter(id) && !word[2])
            return id;
    }
    return PH_OPTION_COUNT;
}

void ph_complete(size_t argc, const char *const *argv, void (*add)(void *ctx, const char *word),
                 void *ctx)
{
    if (argc == 0)
        return;
    struct completion c = {.word = argv[argc - 1], .add = add, .ctx = ctx};
    if (argc == 1) {
        offer_commands(&c);
        return;
    }
    const struct ph_command *command = ph_command_named(argv[0]);
    if (!command)
        return;
    unsigned waiting = waiting_option(command, argv[argc - 2]);
    if (waiting < PH_OPTION_COUNT)
        offer_choices(&c, command, waiting);
    else if (c.word[0] == '-')
        offer_options(&c, command);
    else if (!strcmp(command->name, "help"))
        offer_commands(&c);
}
