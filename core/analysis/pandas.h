/*
 * Which arrays hold the columns of a pandas.DataFrame, or the values of a Series: a frame keeps
 * columns of one dtype in one block, whose values are an ndarray or an object with some of these.
 *
 * Blocks are Cython's, and their fields move between releases; so what an object is to a block is
 * told by its type (pandas/_libs/internals.pyx: BlockPlacement, Block, BlockManager).
 */
#ifndef PH_ANALYSIS_PANDAS_H
#define PH_ANALYSIS_PANDAS_H

#include "heap/heap.h"

/* An array that a frame or a Series keeps values in. */
struct ph_pandas_use {
    uint32_t array;                      /* id */
    uint32_t frame;                      /* id */
    uint32_t index;                      /* of the columns' names; PH_NO_OBJECT for a Series */
    uint32_t first_column, column_count; /* in columns */
};

struct ph_pandas {
    PH_ARRAY(struct ph_pandas_use) uses; /* by array, then by frame, DataFrames first */
    PH_ARRAY(uint32_t) columns;          /* positions */
};

/* Release with ph_pandas_free(), on success. O(objects + blocks). */
enum ph_status ph_pandas_find(struct ph_heap *heap, const struct ph_host *host,
                              struct ph_pandas *out, struct ph_error *err) PH_MUST_USE;
void ph_pandas_free(struct ph_pandas *pandas);

/* The first use of an array; NULL where there is none. */
const struct ph_pandas_use *ph_pandas_use_of(const struct ph_pandas *pandas, uint32_t array);
/* Append the name of the i-th column of a use: its text, or what repr would say; of a Series its
 * own name; "column 5" where it cannot be told. */
void ph_pandas_column_name(struct ph_heap *heap, const struct ph_pandas *pandas,
                           const struct ph_pandas_use *use, uint32_t i, struct ph_str *out);

#endif
