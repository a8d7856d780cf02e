/*
 * What the processes with an interpreter made by hand have in common: structs are filled at the
 * places that the layout tables give, which are tested against real interpreters and headers
 * elsewhere, and a child that has all at the same addresses waits to be looked at.
 */
#ifndef TESTS_UNIT_FAKE_PROCESS_H
#define TESTS_UNIT_FAKE_PROCESS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "heap/heap.h"

enum { TYPE_READY = 1 << 12 };

static struct ph_layout fake_layout;
static unsigned char type_type[1024], object_type[1024];

static void put(void *base, int64_t offset, uint64_t value)
{
    memcpy((char *)base + offset, &value, sizeof value);
}

static void put_pointer(void *base, int64_t offset, const void *value)
{
    put(base, offset, (uint64_t)(uintptr_t)value);
}

static void make_type(void *type, const char *name, uint64_t basicsize, uint64_t itemsize,
                      uint64_t flags)
{
    const struct ph_layout *L = &fake_layout;
    if (ph_has(L->object.ob_refcnt))
        put(type, L->object.ob_refcnt, 1);
    put_pointer(type, L->object.ob_type, type_type);
    put_pointer(type, L->type.tp_name, name);
    put(type, L->type.tp_basicsize, basicsize);
    put(type, L->type.tp_itemsize, itemsize);
    put(type, L->type.tp_flags, flags | TYPE_READY);
    put_pointer(type, L->type.tp_base, type == object_type ? NULL : object_type);
}

/* The heap seen from outside. */
struct fake_view {
    pid_t child;
    struct ph_target *target;
    struct ph_python *python;
};

static struct fake_view open_child(void)
{
    struct fake_view view = {.child = fork()};
    struct ph_error err = {0};
    while (view.child == 0)
        pause();
    enum ph_status opened = ph_target_open_live(view.child, true, NULL, &view.target, &err);
    assert_int_equal(opened, PH_OK);
    if (ph_python_open(view.target, &view.python, &err))
        fail_msg("%s", err.message);
    return view;
}

static void close_child(struct fake_view *view)
{
    ph_python_close(view->python);
    ph_target_close(view->target);
    kill(view->child, SIGKILL);
    waitpid(view->child, NULL, 0);
}

#endif
