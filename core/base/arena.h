/*
 * A bump allocator: what a snapshot or a result document owns is freed at once.
 * Zero-initialised is empty. Memory is zeroed and aligned to 16 bytes. NULL when memory runs out.
 */
#ifndef PH_BASE_ARENA_H
#define PH_BASE_ARENA_H

#include <stddef.h>

struct ph_arena_block;

struct ph_arena {
    struct ph_arena_block *head;
    size_t used_bytes;
};

void *ph_arena_alloc(struct ph_arena *arena, size_t bytes);
/* Copies of a C string, and of len bytes with a NUL behind them. */
char *ph_arena_strdup(struct ph_arena *arena, const char *text);
char *ph_arena_strndup(struct ph_arena *arena, const char *text, size_t len);
void ph_arena_free(struct ph_arena *arena);

#endif
