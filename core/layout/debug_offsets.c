#include "layout/layout.h"

#include <string.h>

enum { FORM_COUNT = 3, FIRST_MINOR = 13, NOWHERE = -1, MAX_PLACE = 1 << 24 };

/* One number of the block: which member it places, in which struct, and where it stands in the form
 * of each minor version, in bytes. */
struct given {
    size_t member, size_member;
    int16_t at[FORM_COUNT];
};

#define PH_DEBUG_OFFSET(s, f, ...)                                                                 \
    {offsetof(struct ph_layout, s.f), offsetof(struct ph_layout, s.size), {__VA_ARGS__}},
static const struct given givens[] = {
#include "layout/debug_offsets.def"
};
#undef PH_DEBUG_OFFSET
enum { GIVEN_COUNT = sizeof givens / sizeof *givens };

/* Structs that begin with another and grow with it. */
static const struct {
    size_t outer, inner;
} beginnings[] = {
    {offsetof(struct ph_layout, tstate_impl.size), offsetof(struct ph_layout, tstate.size)},
    {offsetof(struct ph_layout, heap_type.size), offsetof(struct ph_layout, type.size)},
};

/* Bytes of the block in each form. */
static const unsigned form_bytes[FORM_COUNT] = {584, 760, 888};

static unsigned form_of(uint32_t version_hex)
{
    unsigned minor = version_hex >> 16 & 0xff;
    return minor < FIRST_MINOR + FORM_COUNT ? minor - FIRST_MINOR : FORM_COUNT - 1;
}

size_t ph_debug_offsets_words(uint32_t version_hex)
{
    if (version_hex >> 24 != 3 || (version_hex >> 16 & 0xff) < FIRST_MINOR)
        return 0;
    return form_bytes[form_of(version_hex)] / sizeof(uint64_t);
}

static int32_t member(const struct ph_layout *layout, size_t at)
{
    int32_t value;
    memcpy(&value, (const char *)layout + at, sizeof value);
    return value;
}

static void place(struct ph_layout *layout, size_t at, int32_t value, enum ph_layout_source source)
{
    memcpy((char *)layout + at, &value, sizeof value);
    layout->sources[ph_layout_index(at)] = (uint8_t)source;
}

/* How far the debug offsets move what lies at `old` in a struct of the table: as far as the last
 * thing before it whose place they give. */
static int32_t moved_by(const struct ph_layout *table, const struct ph_layout *now,
                        size_t size_member, int32_t old)
{
    int32_t best = -1, moved = 0;
    for (size_t i = 0; i < GIVEN_COUNT; i++) {
        int32_t was = member(table, givens[i].member);
        bool here = givens[i].size_member == size_member && givens[i].member != size_member &&
                    now->sources[ph_layout_index(givens[i].member)] == PH_SOURCE_DEBUG_OFFSETS;
        if (here && ph_has(was) && was <= old && was > best) {
            best = was;
            moved = member(now, givens[i].member) - was;
        }
    }
    for (size_t i = 0; i < sizeof beginnings / sizeof *beginnings; i++) {
        int32_t was = member(table, beginnings[i].inner);
        if (beginnings[i].outer == size_member && was <= old && was > best) {
            best = was;
            moved = member(now, beginnings[i].inner) - was;
        }
    }
    return moved;
}

/* Move what the debug offsets do not give along with what they give. */
static void move_others(struct ph_layout *layout, const struct ph_layout *table)
{
    for (size_t i = 0; i < PH_LAYOUT_ENTRIES; i++) {
        struct ph_layout_entry entry = ph_layout_entry(table, i);
        if (!entry.field || !ph_has(entry.value) || layout->sources[i] != PH_SOURCE_TABLE)
            continue;
        int32_t by = moved_by(table, layout, entry.size_member, entry.value);
        if (by)
            place(layout, ph_layout_member(i), entry.value + by, PH_SOURCE_MOVED);
    }
}

enum ph_status ph_layout_use_debug_offsets(struct ph_layout *layout, uint32_t version_hex,
                                           const uint64_t *words, struct ph_error *err)
{
    const struct ph_layout table = *layout;
    struct ph_layout now = *layout;
    unsigned form = form_of(version_hex);
    for (size_t i = 0; i < GIVEN_COUNT; i++) {
        const struct given *g = &givens[i];
        if (g->at[form] == NOWHERE)
            continue;
        uint64_t value = words[(size_t)g->at[form] / sizeof *words];
        if (value > MAX_PLACE || (g->member == g->size_member && value == 0))
            return ph_fail(err, PH_BAD_DATA, "the debug offsets are damaged");
        place(&now, g->member, (int32_t)value, PH_SOURCE_DEBUG_OFFSETS);
    }
    for (size_t i = 0; i < GIVEN_COUNT; i++) {
        const struct given *g = &givens[i];
        if (g->member != g->size_member && g->at[form] != NOWHERE &&
            member(&now, g->member) >= member(&now, g->size_member))
            return ph_fail(err, PH_BAD_DATA, "the debug offsets are damaged");
    }
    move_others(&now, &table);
    *layout = now;
    return PH_OK;
}
