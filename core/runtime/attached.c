#include "runtime/attached.h"

enum {
    STATUS_ACTIVE = 1 << 4, /* tstate->_status.active (3.12) */
    STATE_ATTACHED = 1, /* tstate->state: _Py_THREAD_ATTACHED (Include/internal/pycore_pystate.h,
                           from 3.13 on) */
};

/* The only attached thread that there can be: a variable of the process (to 3.6), a field of the
 * runtime (to 3.11). False where neither is found. */
static bool read_current(const struct ph_python *python, ph_addr *tstate)
{
    const struct ph_layout *L = &python->layout;
    ph_addr variable;
    if (ph_has(L->runtime.tstate_current)) {
        *tstate = ph_python_word(python, python->anchor, L->runtime.tstate_current);
        return true;
    }
    if (L->traits.gc_state != PH_GC_STATE_STATICS ||
        ph_target_symbol_in(python->target, python->anchor, "_PyThreadState_Current", &variable) !=
            PH_OK)
        return false;
    *tstate = ph_python_word(python, variable, 0);
    return true;
}

static bool is_attached(const struct ph_python *python, ph_addr tstate)
{
    const struct ph_layout *L = &python->layout;
    if (ph_has(L->tstate.state))
        return ph_python_u32(python, tstate, L->tstate.state) == STATE_ATTACHED;
    return !ph_has(L->tstate.status) ||
           (ph_python_u32(python, tstate, L->tstate.status) & STATUS_ACTIVE);
}

bool ph_python_is_attached(const struct ph_python *python, ph_addr tstate, bool *known)
{
    const struct ph_layout *L = &python->layout;
    ph_addr current;
    *known = true;
    if (read_current(python, &current))
        return current == tstate;
    *known = ph_has(L->tstate.state) || ph_has(L->tstate.status);
    return *known && is_attached(python, tstate);
}

uint32_t ph_python_attached_count(const struct ph_python *python)
{
    ph_addr current;
    if (read_current(python, &current))
        return current != 0;
    uint32_t count = 0;
    for (uint32_t i = 0; i < python->threads.count; i++)
        count += is_attached(python, python->threads.items[i].address);
    return count;
}
