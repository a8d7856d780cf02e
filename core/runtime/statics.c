#include "runtime/statics.h"

#include "runtime/data.h"

enum { MAX_CHAIN = 100000 };

static bool is_dict(const struct ph_python *python, ph_addr object)
{
    return object && ph_python_has_type_name(python, object, "dict");
}

static bool is_interpreter(const struct ph_python *python, ph_addr interp)
{
    const struct ph_layout *L = &python->layout;
    const uint8_t *at = interp && interp % ph_word_bytes(python) == 0
                            ? ph_target_view(python->target, interp, (size_t)L->interp.size)
                            : NULL;
    ph_addr thread = at ? ph_load_ptr(python, at + L->interp.threads_head) : 0;
    return at && (!thread || ph_python_word(python, thread, L->tstate.interp) == interp) &&
           is_dict(python, ph_load_ptr(python, at + L->interp.modules)) &&
           is_dict(python, ph_load_ptr(python, at + L->interp.sysdict)) &&
           is_dict(python, ph_load_ptr(python, at + L->interp.builtins));
}

static uint32_t chain_length(const struct ph_python *python, ph_addr interp)
{
    uint32_t length = 0;
    for (; is_interpreter(python, interp) && length < MAX_CHAIN; length++)
        interp = ph_python_word(python, interp, python->layout.interp.next);
    return length;
}

/* There are pointers to others than the newest, such as the one that PyGILState_Ensure() uses: the
 * head is the one from which most are reached. */
ph_addr ph_statics_interpreters(const struct ph_python *python)
{
    ph_addr head = 0, start;
    uint64_t len, word = ph_word_bytes(python);
    uint32_t longest = 0;
    for (size_t i = 0; ph_data_next(python->target, python->anchor, &i, &start, &len);) {
        const uint8_t *bytes = ph_target_view(python->target, start, len);
        for (uint64_t at = 0; bytes && at + word <= len; at += word) {
            ph_addr candidate = ph_load_ptr(python, bytes + at);
            uint32_t length = candidate == head ? 0 : chain_length(python, candidate);
            if (length > longest) {
                longest = length;
                head = candidate;
            }
        }
    }
    return head;
}
