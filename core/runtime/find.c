#include "runtime/find.h"

/* Include/internal/pycore_debug_offsets.h; in two parts, or our own data would hold it. */
enum { COOKIE_BYTES = 8, OLDEST_WITH_COOKIE = 0x030d0000 };
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

static bool add(struct ph_runtimes *out, ph_addr address)
{
    for (uint32_t i = 0; i < out->count; i++) {
        if (out->items[i] == address)
            return true;
    }
    return ph_array_push(out, address);
}

static bool find_in_modules(struct ph_target *target, struct ph_runtimes *out)
{
    size_t count;
    const struct ph_module *modules = ph_target_modules(target, &count);
    ph_addr at;
    /* Asks the executable first. */
    if (ph_target_symbol(target, "_PyRuntime", &at, NULL) == PH_OK && !add(out, at))
        return false;
    for (size_t i = 0; i < count; i++) {
        ph_addr within = modules[i].start;
        if ((ph_target_symbol_in(target, within, "_PyRuntime", &at) == PH_OK ||
             ph_target_section_in(target, within, ".PyRuntime", &at) == PH_OK) &&
            !add(out, at))
            return false;
    }
    return true;
}

static bool find_in_data(struct ph_target *target, struct ph_runtimes *out)
{
    size_t count;
    const struct ph_region *regions = ph_target_regions(target, &count);
    uint32_t version;
    for (size_t i = 0; i < count; i++) {
        const struct ph_region *r = &regions[i];
        if ((r->flags & (PH_REGION_WRITE | PH_REGION_ANON)) != PH_REGION_WRITE ||
            r->end - r->start > MOST_DATA_BYTES)
            continue;
        for (ph_addr at = r->start; at < r->end; at += COOKIE_BYTES) {
            if (ph_runtime_has_cookie(target, at, &version) && !add(out, at))
                return false;
        }
    }
    return true;
}

bool ph_runtimes_find(struct ph_target *target, struct ph_runtimes *out)
{
    return find_in_modules(target, out) && (out->count > 0 || find_in_data(target, out));
}
