/* Lines become invocations, or an error that helps; words become candidates. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/array.h"
#include "command/command.h"

enum { MOST_WORDS = 16 };

/* Split at '|', so that words may have spaces; "" is no word at all. */
static size_t split(char *line, const char *words[MOST_WORDS])
{
    size_t count = 0;

    if (*line)
        words[count++] = line;
    for (char *p = line; *p; p++)
        if (*p == '|') {
            *p = '\0';
            words[count++] = p + 1;
        }
    return count;
}

static enum ph_status parse(struct ph_invocation *inv, const char *line, struct ph_error *err)
{
    const char *words[MOST_WORDS];
    char *copy = strdup(line);
    enum ph_status status = ph_invocation_parse(inv, split(copy, words), words, err);

    free(copy); /* what the invocation needs, it has copied */
    return status;
}

static struct ph_invocation parsed(const char *line)
{
    struct ph_invocation inv;
    struct ph_error err;

    assert_int_equal(parse(&inv, line, &err), PH_OK);
    return inv;
}

/* ---- Operands ---- */

static void literals_are_operands_of_their_own(void **state)
{
    struct ph_invocation inv = parsed("sizeof|0x7F00|4096|0xffffffffffffffff");

    (void)state;
    assert_int_equal(inv.operand_count, 3);
    assert_int_equal(inv.operands[0].address, 0x7f00);
    assert_int_equal(inv.operands[1].address, 4096);
    assert_int_equal(inv.operands[2].address, UINT64_MAX);
    assert_null(ph_invocation_unresolved(&inv));
    ph_invocation_free(&inv);
}

static void words_of_an_expression_are_joined(void **state)
{
    static const struct {
        const char *line, *expression;
    } cases[] = {
        {"show|(PyObject|*)|$1", "(PyObject *) $1"},
        {"show|$rdi|-8", "$rdi -8"},
        {"show|-$rdi", "-$rdi"},
        {"show|0x10|+|8", "0x10 + 8"},
        {"show|$_regex(\"a b\", \"c\")", "$_regex(\"a b\", \"c\")"},
        {"show|--|-o", "-o"},
        {"show|--length|3|self->ob|--full", "self->ob"},
        {"show|0x1ffffffffffffffff", "0x1ffffffffffffffff"},
        {"show|0x", "0x"},
        {"show|-1", "-1"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct ph_invocation inv = parsed(cases[i].line);
        assert_int_equal(inv.operand_count, 1);
        assert_string_equal(inv.operands[0].text, cases[i].expression);
        assert_ptr_equal(ph_invocation_unresolved(&inv), &inv.operands[0]);
        ph_invocation_free(&inv);
    }
}

static void texts_are_never_addresses(void **state)
{
    struct ph_invocation inv = parsed("list|dict of|'x'");

    (void)state;
    assert_int_equal(inv.operand_count, 1);
    assert_string_equal(inv.operands[0].text, "dict of 'x'");
    assert_null(ph_invocation_unresolved(&inv));
    ph_invocation_free(&inv);
    inv = parsed("list|0x10");
    assert_false(inv.operands[0].resolved);
    ph_invocation_free(&inv);
}

/* ---- Options ---- */

static void options_stand_anywhere(void **state)
{
    struct ph_invocation inv = parsed("list|--limit|5|str|--json|--min-bytes=64k|-o|/tmp/x");

    (void)state;
    assert_int_equal(inv.options.limit, 5);
    assert_int_equal(inv.options.min_bytes, 65536);
    assert_true(inv.options.json);
    assert_string_equal(inv.options.output, "/tmp/x");
    assert_string_equal(inv.operands[0].text, "str");
    assert_true(inv.options.given ==
                (PH_TAKES(limit) | PH_TAKES(json) | PH_TAKES(min_bytes) | PH_TAKES(output)));
    ph_invocation_free(&inv);
}

static void options_have_defaults(void **state)
{
    struct ph_invocation inv = parsed("top");

    (void)state;
    assert_int_equal(inv.options.limit, 20);
    assert_int_equal(inv.options.depth, 1);
    assert_null(inv.options.sort);
    assert_int_equal(inv.options.given, 0);
    ph_invocation_free(&inv);
}

static void two_dashes_end_options(void **state)
{
    struct ph_invocation inv = parsed("list|--limit|1|--|--json");

    (void)state;
    assert_false(inv.options.json);
    assert_string_equal(inv.operands[0].text, "--json");
    ph_invocation_free(&inv);
}

static void numbers_have_bases_and_units(void **state)
{
    static const struct {
        const char *line;
        uint64_t limit;
    } cases[] = {
        {"top|--limit|0", 0},           {"top|--limit=0x10", 16},
        {"top|--limit|2K", 2048},       {"top|--limit|3m", 3 << 20},
        {"top|--limit|1G", 1ull << 30}, {"top|--limit|18446744073709551615", UINT64_MAX},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct ph_invocation inv = parsed(cases[i].line);
        assert_true(inv.options.limit == cases[i].limit);
        ph_invocation_free(&inv);
    }
}

/* ---- Help ---- */

static void help_comes_in_three_ways(void **state)
{
    (void)state;
    struct ph_invocation inv = parsed("help");
    assert_true(inv.help);
    assert_null(inv.command);
    ph_invocation_free(&inv);
    inv = parsed("help|top");
    assert_true(inv.help);
    assert_ptr_equal(inv.command, ph_command_named("top"));
    ph_invocation_free(&inv);
    inv = parsed("show|--help");
    assert_true(inv.help);
    assert_ptr_equal(inv.command, ph_command_named("show"));
    ph_invocation_free(&inv);
}

static void help_names_all_that_a_command_takes(void **state)
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);

    (void)state;
    ph_command_write_help(ph_command_named("top"), "pymem", out);
    fclose(out);
    assert_ptr_equal(strstr(text, "Usage: pymem top [OPTIONS]\n"), text);
    assert_non_null(strstr(text, "  --scope tracked|reachable|unreachable|all\n"));
    assert_non_null(strstr(text, "  -o, --output FILE     write the answer to FILE\n"));
    for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
        assert_true(strlen(line) <= 80);
    free(text);
}

static void every_command_is_described(void **state)
{
    const struct ph_command *command;

    (void)state;
    for (size_t i = 0; (command = ph_command_at(i)); i++) {
        assert_ptr_equal(ph_command_named(command->name), command);
        assert_true(command->brief && *command->brief && command->help && *command->help);
        assert_non_null(command->operands_text);
    }
}

/* ---- Mistakes ---- */

static void mistakes_are_named_with_the_right_word(void **state)
{
    static const struct {
        const char *line, *message;
    } cases[] = {
        {"", "no command given; 'help' lists them"},
        {"tpo", "no command 'tpo'; did you mean 'top'?"},
        {"refer", "no command 'refer'; did you mean 'referrers'?"},
        {"frobnicate", "no command 'frobnicate'; 'help' lists them"},
        {"help|tpo", "no command 'tpo'; did you mean 'top'?"},
        {"top|--limt|5", "no option '--limt'; did you mean '--limit'?"},
        {"top|--limt=5", "no option '--limt'; did you mean '--limit'?"},
        {"top|--nonsense", "no option '--nonsense'; 'help top' lists them"},
        {"whatis|0x10|--gen|1", "'whatis' takes no --gen"},
        {"info|--sort|bytes", "'info' takes no --sort"},
        {"top|--limit", "--limit needs a value"},
        {"top|--limit|x", "--limit takes a number (100, 0x64, 64k), not 'x'"},
        {"top|--limit|-1", "--limit takes a number (100, 0x64, 64k), not '-1'"},
        {"top|--limit|1kk", "--limit takes a number (100, 0x64, 64k), not '1kk'"},
        {"top|--limit|20000000000G", "--limit takes a number (100, 0x64, 64k), not '20000000000G'"},
        {"top|--scope|tracket",
         "--scope takes tracked, reachable, unreachable or all, not 'tracket'"},
        {"show", "'show' needs an address"},
        {"show|0x10|0x20", "'show' takes one address, not 2"},
        {"list", "'list' needs TYPE"},
        {"info|now", "'info' takes no operands, but there is 'now'"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct ph_invocation inv;
        struct ph_error err;
        assert_int_equal(parse(&inv, cases[i].line, &err), PH_USAGE);
        assert_string_equal(err.message, cases[i].message);
        assert_null(inv.memory);
    }
}

static void sort_keys_are_listed_in_the_error(void **state)
{
    struct ph_invocation inv;
    struct ph_error err;

    (void)state;
    assert_int_equal(parse(&inv, "top|--sort|size", &err), PH_USAGE);
    for (const char *const *key = ph_command_named("top")->sort_keys; *key; key++)
        assert_non_null(strstr(err.message, *key));
    assert_non_null(strstr(err.message, "not 'size'"));
}

static void running_out_of_memory_is_an_error(void **state)
{
    (void)state;
    for (unsigned long n = 1; n < 20; n++) {
        struct ph_invocation inv;
        struct ph_error err;
        ph_alloc_fail_after(n);
        enum ph_status status = parse(&inv, "show|--length|3|self->ob|+|8|-8", &err);
        ph_alloc_fail_after(0);
        if (!status)
            ph_invocation_free(&inv);
        else
            assert_int_equal(status, PH_NO_MEMORY);
    }
}

/* ---- Running ---- */

static char *run_into_text(const char *line, enum ph_status expected)
{
    static const struct ph_host host = {0};
    struct ph_invocation inv = parsed(line);
    struct ph_session *session = ph_session_create(&host);
    struct ph_error err;
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);

    assert_int_equal(ph_invocation_run(session, &inv, "py-heap", out, &err), expected);
    fclose(out);
    ph_session_destroy(session);
    ph_invocation_free(&inv);
    return text;
}

static void an_expression_that_nobody_evaluated_is_no_address(void **state)
{
    char *text = run_into_text("show|self->ob", PH_USAGE);

    (void)state;
    assert_string_equal(text, "");
    free(text);
}

static void output_replaces_the_file_it_names(void **state)
{
    char path[] = "/tmp/ph-test-XXXXXX", line[64], content[32] = {0};
    int fd = mkstemp(path);

    (void)state;
    assert_true(fd >= 0 && write(fd, "old", 3) == 3);
    close(fd);
    snprintf(line, sizeof line, "help|--json|-o|%s", path);
    char *text = run_into_text(line, PH_OK);
    assert_true(!strncmp(text, "wrote /tmp/ph-test-", 19));
    free(text);
    FILE *file = fopen(path, "r");
    assert_non_null(fgets(content, sizeof content, file));
    fclose(file);
    assert_string_equal(content, "{\"command\":\"help\",\"commands\":[{");
    unlink(path);
}

static void output_that_cannot_be_written_is_an_error(void **state)
{
    (void)state;
    free(run_into_text("help|-o|/nonexistent/file", PH_FAILED));
    free(run_into_text("help|-o|/dev/full", PH_FAILED));
}

/* ---- Completion ---- */

static void append_word(void *ctx, const char *word)
{
    strcat(strcat(ctx, word), " ");
}

static void candidates_follow_the_line(void **state)
{
    static const struct {
        const char *line, *candidates;
    } cases[] = {
        {"ref", "referrers referents "},
        {"help|to", "top "},
        {"top|--sc", "--scope "},
        {"top|--scope|", "tracked reachable unreachable all "},
        {"top|--scope|un", "unreachable "},
        {"top|--sort|co", "count "},
        {"top|--limit|", ""},
        {"top|-o|--", ""},
        {"whatis|--ge", ""},
        {"nothing|--", ""},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char got[256] = "", *copy = strdup(cases[i].line);
        const char *words[MOST_WORDS];
        ph_complete(split(copy, words), words, append_word, got);
        assert_string_equal(got, cases[i].candidates);
        free(copy);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(literals_are_operands_of_their_own),
        cmocka_unit_test(words_of_an_expression_are_joined),
        cmocka_unit_test(texts_are_never_addresses),
        cmocka_unit_test(options_stand_anywhere),
        cmocka_unit_test(options_have_defaults),
        cmocka_unit_test(two_dashes_end_options),
        cmocka_unit_test(numbers_have_bases_and_units),
        cmocka_unit_test(help_comes_in_three_ways),
        cmocka_unit_test(help_names_all_that_a_command_takes),
        cmocka_unit_test(every_command_is_described),
        cmocka_unit_test(mistakes_are_named_with_the_right_word),
        cmocka_unit_test(sort_keys_are_listed_in_the_error),
        cmocka_unit_test(running_out_of_memory_is_an_error),
        cmocka_unit_test(an_expression_that_nobody_evaluated_is_no_address),
        cmocka_unit_test(output_replaces_the_file_it_names),
        cmocka_unit_test(output_that_cannot_be_written_is_an_error),
        cmocka_unit_test(candidates_follow_the_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
