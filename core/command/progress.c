#include "command/progress.h"

#include <time.h>
#include <unistd.h>

enum { PATIENCE_MS = 500, INTERVAL_MS = 100 };

static uint64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

void ph_progress_begin(struct ph_progress *p, FILE *out)
{
    *p = (struct ph_progress){
        .out = isatty(fileno(out)) ? out : NULL,
        .due_ms = now_ms() + PATIENCE_MS,
    };
}

static void clear_line(struct ph_progress *p)
{
    if (!p->shown)
        return;
    fputs("\r\033[K", p->out);
    fflush(p->out);
    p->shown = false;
}

void ph_progress_show(struct ph_progress *p, const char *phase, unsigned percent)
{
    if (!p->out)
        return;
    if (!phase) {
        clear_line(p);
        return;
    }
    uint64_t now = now_ms();
    if (now < p->due_ms)
        return;
    fprintf(p->out, "\r\033[K%s %u%%", phase, percent);
    fflush(p->out);
    p->due_ms = now + INTERVAL_MS;
    p->shown = true;
}
