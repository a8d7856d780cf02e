#include "target/internal.h"

#include <gelf.h>
#include <stdlib.h>

#include "base/checked.h"

/*
 * The notes of a core file. libelf walks them; what a note holds is a struct of the kernel's,
 * different on each machine, of which we read the few fields below by their places (Linux,
 * include/uapi/linux/elfcore.h and asm/ptrace.h).
 */

struct prstatus_format {
    GElf_Half machine;
    /* Offsets of bytes in the note; 0: not there. On AArch64 a call's first argument is. */
    unsigned pid, sp, thread_pointer, call, arguments[2];
    /* The numbers of the system call; the last is the one that goes on with an interrupted one. */
    int futex[3];
};

static const struct prstatus_format prstatus_formats[] = {
    {EM_X86_64, .pid = 32, .sp = 112 + 19 * 8, .thread_pointer = 112 + 21 * 8, .call = 112 + 15 * 8,
     .arguments = {112 + 14 * 8, 112 + 13 * 8}, .futex = {202, 202, 219}},
    {EM_386, .pid = 24, .sp = 72 + 15 * 4, .call = 72 + 11 * 4, .arguments = {72, 72 + 4},
     .futex = {240, 422, 0}},
    {EM_AARCH64, .pid = 32, .sp = 112 + 31 * 8, .futex = {98, 98, 128}},
};

static const struct prstatus_format *find_format(unsigned machine)
{
    for (size_t i = 0; i < sizeof prstatus_formats / sizeof *prstatus_formats; i++) {
        if (prstatus_formats[i].machine == machine)
            return &prstatus_formats[i];
    }
    return NULL;
}

/* A cursor over a note's bytes, in the target's byte order; reading past the end says so and yields
 * 0. */
struct cursor {
    const unsigned char *bytes;
    size_t len, at;
    unsigned word_bytes;
    bool big_endian, failed;
};

static uint64_t take(struct cursor *c, unsigned bytes)
{
    uint64_t value = 0;
    if (c->failed || bytes > c->len - c->at) {
        c->failed = true;
        return 0;
    }
    for (unsigned i = 0; i < bytes; i++) {
        unsigned shift = 8 * (c->big_endian ? bytes - 1 - i : i);
        value |= (uint64_t)c->bytes[c->at + i] << shift;
    }
    c->at += bytes;
    return value;
}

static uint64_t take_at(struct cursor *c, size_t at, unsigned bytes)
{
    c->failed = at > c->len;
    c->at = at;
    return take(c, bytes);
}

static uint64_t take_word(struct cursor *c)
{
    return take(c, c->word_bytes);
}

/* A C string; NULL past the end. */
static const char *take_string(struct cursor *c)
{
    const char *text = (const char *)c->bytes + c->at;
    const char *end = c->failed ? NULL : memchr(text, '\0', c->len - c->at);
    if (!end) {
        c->failed = true;
        return NULL;
    }
    c->at += (size_t)(end - text) + 1;
    return text;
}

static struct cursor cursor_over(const struct ph_target *t, const void *bytes, size_t len)
{
    return (struct cursor){
        .bytes = bytes,
        .len = len,
        .word_bytes = t->info.word_bytes,
        .big_endian = t->info.big_endian,
    };
}

void ph_thread_set_call(struct ph_thread *thread, unsigned machine, int64_t call,
                        const uint64_t arguments[2])
{
    enum { FUTEX_COMMAND = 0x7f, FUTEX_WAIT = 0, FUTEX_LOCK_PI = 6, FUTEX_WAIT_BITSET = 9 };
    const struct prstatus_format *format = find_format(machine);
    if (!format)
        return;
    uint64_t command = arguments[1] & FUTEX_COMMAND;
    bool waits = command == FUTEX_WAIT || command == FUTEX_LOCK_PI || command == FUTEX_WAIT_BITSET;
    thread->call_known = true;
    thread->in_call = call >= 0;
    for (size_t i = 0; i < sizeof format->futex / sizeof *format->futex; i++) {
        if (waits && call == format->futex[i])
            thread->futex = arguments[0];
    }
}

static bool read_thread(struct ph_target *t, GElf_Half machine, struct cursor *c)
{
    const struct prstatus_format *format = find_format(machine);
    if (!format)
        return true;
    struct ph_thread thread = {.name = ""};
    thread.tid = take_at(c, format->pid, 4);
    thread.sp = take_at(c, format->sp, c->word_bytes);
    if (format->thread_pointer)
        thread.fs_base = take_at(c, format->thread_pointer, c->word_bytes);
    if (format->call) {
        uint64_t call = take_at(c, format->call, c->word_bytes), arguments[2];
        for (unsigned i = 0; i < 2; i++)
            arguments[i] = take_at(c, format->arguments[i], c->word_bytes);
        ph_thread_set_call(&thread, machine, c->word_bytes == 4 ? (int32_t)call : (int64_t)call,
                           arguments);
    }
    return c->failed || ph_array_push(&t->threads, thread);
}

/* struct elf_prpsinfo: pid behind four chars, a word of flags, uid and gid; 16-bit ids on 386. */
static void read_process(struct ph_target *t, GElf_Half machine, struct cursor *c)
{
    size_t pid_at = machine == EM_386 ? 12 : c->word_bytes == 8 ? 24 : 16;
    uint64_t pid = take_at(c, pid_at, 4);
    if (!c->failed)
        t->info.pid = (pid_t)pid;
}

struct file_note {
    ph_addr start, end;
    uint64_t offset;
    const char *path;
};

static int compare_file_notes(const void *a, const void *b)
{
    const struct file_note *x = a, *y = b;
    return (x->start > y->start) - (x->start < y->start);
}

/* NT_FILE: count, page size, then start, end and offset in pages of each, then the names. */
static bool read_files(struct ph_target *t, struct cursor *c)
{
    uint64_t count = take_word(c), page_bytes = take_word(c);
    if (c->failed || count > c->len / (3 * c->word_bytes))
        return true;
    PH_ARRAY(struct file_note) notes = {0};
    bool ok = ph_array_reserve(&notes, count);
    for (uint64_t i = 0; ok && i < count; i++) {
        struct file_note note;
        note.start = take_word(c);
        note.end = take_word(c);
        if (!ph_mul(take_word(c), page_bytes, &note.offset))
            note.end = note.start; /* left out below */
        notes.items[notes.count++] = note;
    }
    for (uint32_t i = 0; i < notes.count; i++)
        notes.items[i].path = take_string(c);
    if (notes.count)
        qsort(notes.items, notes.count, sizeof *notes.items, compare_file_notes);
    ph_addr reached = t->mappings.count ? t->mappings.items[t->mappings.count - 1].end : 0;
    for (uint32_t i = 0; ok && i < notes.count; i++) {
        const struct file_note *note = &notes.items[i];
        if (!note->path || note->start < reached || note->end <= note->start ||
            note->end >= PH_ADDR_LIMIT)
            continue;
        reached = note->end;
        ok = ph_mapping_add(t, note->start, note->end, note->offset, note->path);
    }
    ph_array_free(&notes);
    return ok;
}

void ph_auxv_read(struct ph_target *t, const void *bytes, size_t len)
{
    struct cursor c = cursor_over(t, bytes, len);
    while (!c.failed) {
        uint64_t type = take_word(&c), value = take_word(&c);
        if (!c.failed && type == AT_ENTRY)
            t->entry = value;
    }
}

bool ph_notes_read(struct ph_target *t, Elf *elf, uint64_t offset, uint64_t size)
{
    GElf_Ehdr header;
    Elf_Data *data = elf_getdata_rawchunk(elf, (int64_t)offset, size, ELF_T_NHDR);
    if (!data || !gelf_getehdr(elf, &header))
        return true;
    GElf_Nhdr note;
    size_t name_at, bytes_at;
    bool ok = true;
    for (size_t at = 0; ok && (at = gelf_getnote(data, at, &note, &name_at, &bytes_at)) > 0;) {
        if (note.n_namesz < 4 || memcmp((char *)data->d_buf + name_at, "CORE", 4) != 0)
            continue;
        struct cursor c = cursor_over(t, (char *)data->d_buf + bytes_at, note.n_descsz);
        switch (note.n_type) {
        case NT_PRSTATUS:
            ok = read_thread(t, header.e_machine, &c);
            break;
        case NT_PRPSINFO:
            read_process(t, header.e_machine, &c);
            break;
        case NT_FILE:
            ok = read_files(t, &c);
            break;
        case NT_AUXV:
            ph_auxv_read(t, c.bytes, c.len);
            break;
        }
    }
    return ok;
}
