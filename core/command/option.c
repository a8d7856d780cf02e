#include "command/option.h"

#include "base/str.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* "|duplicate-strings|..." */
static const char waste_kinds[] =
#define PH_WASTE(id, name, what) "|" name
#include "analysis/waste.def"
#undef PH_WASTE
    ;

const struct ph_option ph_option_list[PH_OPTION_COUNT] = {
#define PH_OPTION(id, name, type, value_name, help)                                                \
    [PH_OPTION_##                                                                                  \
        id] = {name, PH_OPTION_TYPE_##type, value_name, help, offsetof(struct ph_options, id)},
#include "command/options.def"
#undef PH_OPTION
};

const uint64_t ph_options_common = PH_TAKES(json) | PH_TAKES(output) | PH_TAKES(limit) |
                                   PH_TAKES(refresh) | PH_TAKES(layout) | PH_TAKES(help);

char ph_option_letter(enum ph_option_id id)
{
    return id == PH_OPTION_output ? 'o' : id == PH_OPTION_help ? 'h' : '\0';
}

uint64_t ph_options_of(const struct ph_command *command)
{
    if (!command)
        return ph_options_common;
    return command->options | ph_options_common | (command->sort_keys ? PH_TAKES(sort) : 0);
}

static const char *listed_choice(const char *list, size_t i, char buf[32])
{
    if (!list || !strchr(list, '|'))
        return NULL;
    for (; i > 0 && list; i--) {
        list = strchr(list, '|');
        list = list ? list + 1 : NULL;
    }
    if (!list)
        return NULL;
    snprintf(buf, 32, "%.*s", (int)strcspn(list, "|"), list);
    return buf;
}

static const char *sort_choice(const char *const *keys, size_t i, char buf[32])
{
    for (; keys && *keys; keys++, i--)
        if (i == 0) {
            snprintf(buf, 32, "%s", *keys);
            return buf;
        }
    return NULL;
}

const char *ph_option_choice(const struct ph_command *command, enum ph_option_id id, size_t i,
                             char buf[32])
{
    if (id == PH_OPTION_sort)
        return sort_choice(command->sort_keys, i, buf);
    return listed_choice(ph_option_list[id].value_name, i, buf);
}

void ph_options_init(struct ph_options *options)
{
    *options = (struct ph_options){.limit = 20, .depth = 1};
}

bool ph_parse_number(const char *text, const char **end, uint64_t *value)
{
    bool hex = text[0] == '0' && (text[1] == 'x' || text[1] == 'X');
    char *behind;

    if (hex)
        text += 2;
    /* strtoull() would take spaces and signs. */
    if (hex ? !isxdigit((unsigned char)*text) : !isdigit((unsigned char)*text))
        return false;
    errno = 0;
    *value = strtoull(text, &behind, hex ? 16 : 10);
    *end = behind;
    return !errno;
}

/* A number with an optional k, M or G. */
static bool parse_size(const char *text, uint64_t *value)
{
    static const char suffixes[] = "kmg";
    const char *rest, *suffix;

    if (!ph_parse_number(text, &rest, value))
        return false;
    if (!*rest)
        return true;
    suffix = strchr(suffixes, tolower((unsigned char)*rest));
    if (!suffix || rest[1])
        return false;
    return !__builtin_mul_overflow(*value, 1ull << 10 * (suffix - suffixes + 1), value);
}

/* "bytes, count or retained" */
static void append_choices(struct ph_str *list, const struct ph_command *command,
                           enum ph_option_id id)
{
    const char *choice;
    char buf[32], next[32];

    for (size_t i = 0; (choice = ph_option_choice(command, id, i, buf)); i++) {
        bool last = !ph_option_choice(command, id, i + 1, next);
        ph_str_append(list, i == 0 ? "" : last ? " or " : ", ");
        ph_str_append(list, choice);
    }
}

static enum ph_status fail_choice(const struct ph_command *command, enum ph_option_id id,
                                  const char *text, struct ph_error *err)
{
    struct ph_str list = {0};

    append_choices(&list, command, id);
    ph_fail(err, PH_USAGE, "--%s takes %s, not '%.40s'", ph_option_list[id].name,
            ph_str_text(&list), text);
    ph_str_free(&list);
    return PH_USAGE;
}

static bool is_choice(const struct ph_command *command, enum ph_option_id id, const char *text)
{
    const char *choice;
    char buf[32];

    if (!ph_option_choice(command, id, 0, buf))
        return true;
    for (size_t i = 0; (choice = ph_option_choice(command, id, i, buf)); i++)
        if (!strcmp(choice, text))
            return true;
    return false;
}

enum ph_status ph_option_set(struct ph_options *options, const struct ph_command *command,
                             enum ph_option_id id, const char *text, struct ph_error *err)
{
    const struct ph_option *option = &ph_option_list[id];
    void *value = (char *)options + option->offset;

    switch (option->type) {
    case PH_OPTION_TYPE_flag:
        *(ph_option_flag *)value = true;
        break;
    case PH_OPTION_TYPE_number:
        if (!parse_size(text, value))
            return ph_fail(err, PH_USAGE, "--%s takes a number (100, 0x64, 64k), not '%.40s'",
                           option->name, text);
        break;
    case PH_OPTION_TYPE_string:
        if (!is_choice(command, id, text))
            return fail_choice(command, id, text, err);
        *(ph_option_string *)value = text;
        break;
    }
    options->given |= 1ull << id;
    return PH_OK;
}
