/* How fast this machine reads memory at random, which bounds most of what is measured here: one
 * line of text. bench/run builds and runs it. */
#define _GNU_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <time.h>

#define BYTES ((size_t)1 << 30)
enum { HUGE_PAGE_BYTES = 2 << 20, PAGE_BYTES = 4096, LINE_BYTES = 64, READS = 10 << 20 };

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static uint64_t next_random(uint64_t x)
{
    x ^= x << 13;
    x ^= x >> 7;
    return x ^ x << 17;
}

/* Millions of reads a second. `mask`: all ones where each is to wait for the one before, on which
 * its place then depends; else 0, and known to the compiler. */
static inline double read_at_random(const volatile char *memory, const uint64_t mask)
{
    uint64_t random = 88172645463325252u, sum = 0;
    double start = now();
    for (int i = 0; i < READS; i++) {
        random = next_random(random);
        sum += (uint64_t)memory[(random + (sum & mask)) % (BYTES / LINE_BYTES) * LINE_BYTES];
    }
    return READS / (now() - start) / 1e6;
}

int main(void)
{
    double rates[2][2];
    for (int huge = 0; huge < 2; huge++) {
        char *memory = mmap(NULL, BYTES + HUGE_PAGE_BYTES, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (memory == MAP_FAILED)
            return 1;
        madvise(memory, BYTES + HUGE_PAGE_BYTES, huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
        for (size_t i = 0; i < BYTES; i += PAGE_BYTES)
            memory[i] = 1;
        rates[huge][0] = read_at_random(memory, 0);
        rates[huge][1] = read_at_random(memory, UINT64_MAX);
        munmap(memory, BYTES + HUGE_PAGE_BYTES);
    }
    printf("Reads at random in 1 GiB: %.0f million a second on huge pages and %.0f on small ones; "
           "%.1f and %.1f where each waits for the one before.\n",
           rates[1][0], rates[0][0], rates[1][1], rates[0][1]);
    return 0;
}
