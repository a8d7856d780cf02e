#include "base/arena.h"

#include "base/array.h"

enum {
    ALIGNMENT = 16,
    FIRST_BLOCK_BYTES = 4 * 1024,
    LAST_BLOCK_BYTES = 1024 * 1024,
};

struct ph_arena_block {
    struct ph_arena_block *next;
    size_t used, capacity; /* of bytes[] */
    _Alignas(ALIGNMENT) unsigned char bytes[];
};

/* A block that holds at least `bytes`. Blocks double in size, so that small arenas stay small; what
 * is larger than the next block gets one to itself, behind the head, whose room is not lost then.
 */
static struct ph_arena_block *add_block(struct ph_arena *arena, size_t bytes)
{
    size_t capacity = FIRST_BLOCK_BYTES;
    if (arena->head)
        capacity = arena->head->capacity < LAST_BLOCK_BYTES / 2 ? 2 * arena->head->capacity
                                                                : LAST_BLOCK_BYTES;
    bool oversized = bytes > capacity;
    struct ph_arena_block *block = ph_calloc(1, sizeof *block + (oversized ? bytes : capacity));
    if (!block)
        return NULL;
    block->capacity = oversized ? bytes : capacity;
    struct ph_arena_block **link = oversized && arena->head ? &arena->head->next : &arena->head;
    block->next = *link;
    *link = block;
    return block;
}

void *ph_arena_alloc(struct ph_arena *arena, size_t bytes)
{
    if (bytes > SIZE_MAX / 2)
        return NULL;
    size_t rounded = (bytes + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1);
    if (!rounded)
        rounded = ALIGNMENT;
    struct ph_arena_block *block = arena->head;
    if (!block || block->capacity - block->used < rounded)
        block = add_block(arena, rounded);
    if (!block)
        return NULL;
    void *memory = block->bytes + block->used;
    block->used += rounded;
    arena->used_bytes += rounded;
    return memory;
}

char *ph_arena_strndup(struct ph_arena *arena, const char *text, size_t len)
{
    if (len == SIZE_MAX)
        return NULL;
    char *copy = ph_arena_alloc(arena, len + 1);
    if (copy && len)
        memcpy(copy, text, len);
    return copy;
}

char *ph_arena_strdup(struct ph_arena *arena, const char *text)
{
    return ph_arena_strndup(arena, text, strlen(text));
}

void ph_arena_free(struct ph_arena *arena)
{
    for (struct ph_arena_block *block = arena->head, *next; block; block = next) {
        next = block->next;
        free(block);
    }
    *arena = (struct ph_arena){0};
}
