#include "runtime/find.h"

#include "layout/layout.h"
#include "runtime/version.h"

#include <stdio.h>

/* Include/internal/pycore_debug_offsets.h; in two parts, or our own data would hold it. */
enum { COOKIE_BYTES = 8, OLDEST_WITH_COOKIE = 0x030d0000, MOST_INTERPRETERS = 1000 };
static const char cookie_parts[2][5] = {"xdeb", "ugpy"};
#define MOST_DATA_BYTES (256ull << 20) /* of one module's data; larger is no data */

bool ph_runtime_has_cookie(struct ph_target *target, ph_addr address, uint32_t *version_hex)
{
    uint64_t version;
    const char *bytes = ph_target_view(target, address, COOKIE_BYTES);
    if (!bytes || memcmp(bytes, cookie_parts[0], COOKIE_BYTES / 2) != 0 ||
        memcmp(bytes + COOKIE_BYTES / 2, cookie_parts[1], COOKIE_BYTES / 2) != 0 ||
        !ph_target_u64(target, address + COOKIE_BYTES, &version) || version < OLDEST_WITH_COOKIE ||
        version > UINT32_MAX)
        return false;
    *version_hex = (uint32_t)version;
    return true;
}

static bool add(struct ph_anchors *out, ph_addr address)
{
    for (uint32_t i = 0; i < out->count; i++) {
        if (out->items[i] == address)
            return true;
    }
    return ph_array_push(out, address);
}

static bool find_in_modules(struct ph_target *target, struct ph_anchors *out)
{
    size_t count;
    const struct ph_module *modules = ph_target_modules(target, &count);
    ph_addr at;
    /* Asks the executable first. */
    if ((ph_target_symbol(target, "_PyRuntime", &at, NULL) == PH_OK ||
         ph_target_symbol(target, "_PyGC_generation0", &at, NULL) == PH_OK) &&
        !add(out, at))
        return false;
    for (size_t i = 0; i < count; i++) {
        ph_addr within = modules[i].start;
        if ((ph_target_symbol_in(target, within, "_PyRuntime", &at) == PH_OK ||
             ph_target_section_in(target, within, ".PyRuntime", &at) == PH_OK ||
             ph_target_symbol_in(target, within, "_PyGC_generation0", &at) == PH_OK) &&
            !add(out, at))
            return false;
    }
    return true;
}

/* The next part of the modules' data and bss; *i counts from 0. */
static bool next_data(struct ph_target *target, size_t *i, ph_addr *start, ph_addr *end)
{
    size_t count;
    const struct ph_region *regions = ph_target_regions(target, &count);
    while (*i < count) {
        const struct ph_region *r = &regions[(*i)++];
        bool of_a_file = !(r->flags & PH_REGION_ANON) || ph_target_module_at(target, r->start);
        if (!(r->flags & PH_REGION_WRITE) || !of_a_file || r->end - r->start > MOST_DATA_BYTES)
            continue;
        *start = r->start;
        *end = r->end;
        return true;
    }
    return false;
}

static bool find_by_cookie(struct ph_target *target, struct ph_anchors *out)
{
    ph_addr start, end;
    uint32_t version;
    for (size_t i = 0; next_data(target, &i, &start, &end);) {
        for (ph_addr at = start; at < end; at += COOKIE_BYTES) {
            if (ph_runtime_has_cookie(target, at, &version) && !add(out, at))
                return false;
        }
    }
    return true;
}

static ph_addr word_at(struct ph_target *target, ph_addr base, int32_t offset)
{
    uint64_t value;
    return ph_target_word(target, base + (uint64_t)offset, &value) ? value : 0;
}

/* Whether this is an interpreter's state: the first of its threads points back. */
static bool is_interpreter(struct ph_target *target, const struct ph_layout *L, ph_addr at)
{
    ph_addr thread = word_at(target, at, L->interp.threads_head);
    return thread && word_at(target, thread, L->tstate.interp) == at;
}

/* Whether the dicts of sys and builtins are dicts: of one type, which is called so and whose own
 * type is of its own type. */
static bool has_dicts(struct ph_target *target, const struct ph_layout *L, ph_addr interp)
{
    ph_addr sysdict = word_at(target, interp, L->interp.sysdict);
    ph_addr builtins = word_at(target, interp, L->interp.builtins);
    ph_addr type = word_at(target, sysdict, L->object.ob_type);
    ph_addr metatype = word_at(target, type, L->object.ob_type);
    size_t len;
    const char *name = ph_target_cstring(target, word_at(target, type, L->type.tp_name), 8, &len);
    return name && strcmp(name, "dict") == 0 && sysdict != builtins && type != metatype &&
           word_at(target, builtins, L->object.ob_type) == type &&
           word_at(target, metatype, L->object.ob_type) == metatype;
}

/* Whether _PyRuntime of this version is here: its list of interpreters has the main one. */
static bool is_runtime(struct ph_target *target, const struct ph_layout *L, ph_addr runtime)
{
    ph_addr at = word_at(target, runtime, L->runtime.interpreters_head);
    ph_addr main = word_at(target, runtime, L->runtime.interpreters_main);
    if (!at || !main || !is_interpreter(target, L, at) || !is_interpreter(target, L, main) ||
        !has_dicts(target, L, main))
        return false;
    for (int n = 0; at && at != main && n < MOST_INTERPRETERS; n++)
        at = word_at(target, at, L->interp.next);
    return at == main;
}

/* Whether nothing says that it is another version. */
static bool may_be_version(struct ph_target *target, ph_addr anchor, uint32_t hex)
{
    uint32_t its = ph_version_read(target, anchor);
    return !its || its >> 16 == hex >> 16;
}

static bool find_by_shape(struct ph_target *target, struct ph_anchors *out)
{
    const struct ph_target_info *info = ph_target_info(target);
    ph_addr start, end;
    const char *name;
    for (size_t v = 0; (name = ph_layout_version_name(v)) != NULL; v++) {
        struct ph_layout L;
        char full[16];
        int len = snprintf(full, sizeof full, "%.10s.0", name);
        uint32_t hex = ph_version_parse(full, (size_t)len);
        if (ph_layout_load(&L, hex, 0, info->word_bytes, info->big_endian, NULL) ||
            !ph_has(L.runtime.interpreters_head))
            continue;
        for (size_t i = 0; next_data(target, &i, &start, &end);) {
            for (ph_addr at = start; at < end; at += info->word_bytes) {
                if (is_runtime(target, &L, at) && may_be_version(target, at, hex) && !add(out, at))
                    return false;
            }
        }
    }
    return true;
}

bool ph_anchors_find(struct ph_target *target, struct ph_anchors *out)
{
    return find_in_modules(target, out) && (out->count || find_by_cookie(target, out)) &&
           (out->count || find_by_shape(target, out));
}
