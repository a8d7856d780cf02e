/*
 * What waits: generators, coroutines and async generators that exist and do not run, asyncio's
 * tasks, and whom each waits for.
 */
#ifndef PH_ANALYSIS_TASKS_H
#define PH_ANALYSIS_TASKS_H

#include "heap/heap.h"

struct ph_ids PH_ARRAY_BODY(uint32_t);

/* Ids, by address, of the generators, coroutines and async generators that have not finished and do
 * not run. False when out of memory. Linear in the objects; the ids are freed by the caller. */
bool ph_suspended_find(struct ph_heap *heap, struct ph_ids *out) PH_MUST_USE;
/* Ids of asyncio's tasks, finished ones too: instances of the class in C and of that in Python. */
bool ph_tasks_find(struct ph_heap *heap, struct ph_ids *out) PH_MUST_USE;

bool ph_is_task(const struct ph_heap *heap, uint32_t id);

struct ph_task {
    const char *state; /* "pending", "cancelled", "finished"; NULL where unreadable */
    ph_addr coroutine; /* what it runs; 0 where it has none */
    ph_addr waits_for; /* the future that wakes it; 0 for one that is to run, or has finished */
    ph_addr loop;
};
/* Read task `id` (Modules/_asynciomodule.c: TaskObj; Lib/asyncio/tasks.py: Task), and append its
 * name as get_name() gives it: nothing before 3.8, which had none. */
void ph_task_read(struct ph_heap *heap, uint32_t id, struct ph_task *out, struct ph_str *name);

/* Append to `out` the coroutine or generator at `start`, the one it awaits, and so on: addresses,
 * the outermost first. Ends at what is none (a future) or runs. False when out of memory. */
struct ph_addresses PH_ARRAY_BODY(ph_addr);
bool ph_await_chain(struct ph_heap *heap, ph_addr start, struct ph_addresses *out) PH_MUST_USE;

#endif
