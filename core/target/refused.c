#include "target/internal.h"

#include <unistd.h>

/* The number of kernel.yama.ptrace_scope: 0, where there is no such thing, lets a user trace what
 * is the user's own; 1 only children; 2 only root; 3 nobody (Linux, Documentation/admin-guide/LSM/
 * Yama.rst). */
static int ptrace_scope(void)
{
    struct ph_str text = {0};
    bool known = ph_proc_read(&text, "/proc/sys/kernel/yama/ptrace_scope");
    int scope = known ? (int)strtol(ph_str_text(&text), NULL, 10) : 0;
    ph_str_free(&text);
    return scope;
}

/* Of a process that has memory. */
static enum ph_status refused_to_trace(pid_t pid, unsigned long uid, struct ph_error *err)
{
    bool is_root = geteuid() == 0;
    int scope = ptrace_scope();
    if (!is_root && uid != geteuid())
        return ph_fail(err, PH_FAILED,
                       "process %d belongs to another user (uid %lu); run as root or as that user",
                       (int)pid, uid);
    if (scope >= 3)
        return ph_fail(err, PH_FAILED,
                       "process %d cannot be looked into: kernel.yama.ptrace_scope is %d, which "
                       "lets nobody until the machine is started anew",
                       (int)pid, scope);
    if (!is_root && scope > 0)
        return ph_fail(err, PH_FAILED,
                       "process %d cannot be looked into: kernel.yama.ptrace_scope is %d; run as "
                       "root%s",
                       (int)pid, scope, scope == 1 ? ", or set it to 0" : "");
    return ph_fail(err, PH_FAILED,
                   "process %d cannot be looked into: that takes %sthe capability CAP_SYS_PTRACE "
                   "(for a container: --cap-add SYS_PTRACE)",
                   (int)pid, is_root ? "" : "root or ");
}

enum ph_status ph_refused(pid_t pid, struct ph_error *err)
{
    struct ph_str text = {0};
    enum ph_status status;
    if (!ph_proc_read(&text, "/proc/%d/status", (int)pid)) {
        status = ph_fail(err, PH_NOT_FOUND, "there is no process %d", (int)pid);
    } else {
        const char *state = ph_proc_status(ph_str_text(&text), "State");
        const char *uid = ph_proc_status(ph_str_text(&text), "Uid");
        if (state && (*state == 'Z' || *state == 'X'))
            status = ph_fail(err, PH_NOT_FOUND, "process %d has ended", (int)pid);
        else if (!ph_proc_status(ph_str_text(&text), "VmSize"))
            status = ph_fail(err, PH_NOT_FOUND,
                             "process %d has no memory: it is part of the kernel, or is ending",
                             (int)pid);
        else
            status = refused_to_trace(pid, uid ? strtoul(uid, NULL, 10) : 0, err);
    }
    ph_str_free(&text);
    return status;
}
