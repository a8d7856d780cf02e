#include "command/command.h"

#include <string.h>

#define PH_COMMAND(name) extern const struct ph_command ph_command_##name;
#include "command/commands.def"
#undef PH_COMMAND

static const struct ph_command *const commands[] = {
#define PH_COMMAND(name) &ph_command_##name,
#include "command/commands.def"
#undef PH_COMMAND
};

const struct ph_command *ph_command_at(size_t i)
{
    return i < sizeof commands / sizeof commands[0] ? commands[i] : NULL;
}

const struct ph_command *ph_command_named(const char *name)
{
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
        if (!strcmp(commands[i]->name, name))
            return commands[i];
    return NULL;
}
