#include "heap/allocator.h"

enum {
    FORBIDDEN = 0xfd,       /* PYMEM_FORBIDDENBYTE, from 3.7 on */
    FORBIDDEN_TO_36 = 0xfb, /* FORBIDDENBYTE */
};

/* What the hooks leave before a block's data: its size in one word, then the letter of the domain
 * and a word's rest of forbidden bytes. */
static bool has_fence(const struct ph_python *python, ph_addr data)
{
    unsigned word = ph_word_bytes(python);
    const uint8_t *at = ph_target_view(python->target, data - word, word);
    bool is_domain = at && (at[0] == 'r' || at[0] == 'm' || at[0] == 'o');
    if (!is_domain || (at[1] != FORBIDDEN && at[1] != FORBIDDEN_TO_36))
        return false;
    for (unsigned i = 2; i < word; i++) {
        if (at[i] != at[1])
            return false;
    }
    return true;
}

/* What the samples showed. */
struct tally {
    uint32_t seen, in_blocks, fenced;
};

static void count_sample(struct tally *tally, struct ph_objects *objects,
                         const struct ph_blocks *blocks, ph_addr address)
{
    struct ph_object o;
    if (!ph_object_at(objects, address, &o))
        return;
    ph_addr data = address - o.type->header_bytes;
    tally->seen++;
    tally->in_blocks += ph_blocks_find(blocks, data) != NULL;
    tally->fenced += has_fence(objects->python, data);
}

void ph_allocator_detect(struct ph_allocator *allocator, struct ph_objects *objects,
                         const struct ph_blocks *blocks)
{
    const struct ph_python *python = objects->python;
    const struct ph_layout *L = &python->layout;
    const int32_t samples[] = {L->interp.modules, L->interp.sysdict, L->interp.builtins,
                               L->interp.importlib};
    struct tally tally = {0};
    for (uint32_t i = 0; i < python->interpreters.count; i++) {
        ph_addr interp = python->interpreters.items[i].address;
        for (size_t n = 0; n < sizeof samples / sizeof *samples; n++)
            count_sample(&tally, objects, blocks, ph_python_word(python, interp, samples[n]));
    }
    bool hooks = tally.fenced > tally.seen / 2;
    *allocator = (struct ph_allocator){
        .kind = tally.seen && !tally.in_blocks ? PH_ALLOCATOR_MALLOC
                : blocks->are_mimalloc         ? PH_ALLOCATOR_MIMALLOC
                                               : PH_ALLOCATOR_PYMALLOC,
        .prefix_bytes = hooks ? 2 * ph_word_bytes(python) : 0,
    };
    if (allocator->kind == PH_ALLOCATOR_MALLOC)
        objects->python->build |= PH_BUILD_MALLOC;
}

const char *ph_allocator_name(const struct ph_allocator *allocator)
{
    static const char *const names[][2] = {
        [PH_ALLOCATOR_PYMALLOC] = {"pymalloc", "pymalloc_debug"},
        [PH_ALLOCATOR_MALLOC] = {"malloc", "malloc_debug"},
        [PH_ALLOCATOR_MIMALLOC] = {"mimalloc", "mimalloc_debug"},
    };
    return names[allocator->kind][allocator->prefix_bytes != 0];
}

const char *ph_allocator_text(const struct ph_allocator *allocator)
{
    static const char *const texts[][2] = {
        [PH_ALLOCATOR_PYMALLOC] = {"pymalloc", "pymalloc with debug hooks"},
        [PH_ALLOCATOR_MALLOC] = {"malloc", "malloc with debug hooks"},
        [PH_ALLOCATOR_MIMALLOC] = {"mimalloc", "mimalloc with debug hooks"},
    };
    return texts[allocator->kind][allocator->prefix_bytes != 0];
}

uint32_t ph_allocator_prefix(const struct ph_allocator *allocator, const struct ph_python *python,
                             ph_addr data)
{
    return allocator->prefix_bytes && has_fence(python, data) ? allocator->prefix_bytes : 0;
}
