/*
 * The plugin as LLDB sees it: the commands of the registry below `pymem` and `py-heap`.
 *
 * Not linked against liblldb, whose symbols come from the LLDB that loads it; so only what LLDB 14
 * already had is used, and one build loads into any later one.
 */
#include <climits>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include <lldb/API/LLDB.h>

extern "C" {
#include "command/command.h"
#include "command/progress.h"
}

namespace
{

/* ---- interruption ---- */

volatile sig_atomic_t interrupted;

/* Ctrl-C is ours while a command runs, and LLDB's before and after. */
class SigintGuard
{
  public:
    SigintGuard()
    {
        struct sigaction action = {};

        interrupted = 0;
        action.sa_handler = [](int) { interrupted = 1; };
        action.sa_flags = SA_RESTART;
        sigemptyset(&action.sa_mask);
        sigaction(SIGINT, &action, &before_);
    }
    ~SigintGuard()
    {
        sigaction(SIGINT, &before_, nullptr);
    }
    SigintGuard(const SigintGuard &) = delete;
    SigintGuard &operator=(const SigintGuard &) = delete;

  private:
    struct sigaction before_;
};

/* ---- the session ---- */

/* One a debugger, shared by its commands. */
class Session
{
  public:
    Session()
        : host_{this, read, is_interrupted, has_run, local_path, nullptr, show_progress},
          session_(ph_session_create(&host_))
    {
    }
    ~Session()
    {
        ph_session_destroy(session_);
    }
    Session(const Session &) = delete;
    Session &operator=(const Session &) = delete;

    /* Look at this process from now on; forget what was read of another one, or before it ran. */
    void use(lldb::SBProcess process);
    enum ph_status run(struct ph_invocation &inv, const char *prefix, FILE *out,
                       struct ph_error *err);

  private:
    static bool local_path(void *ctx, const char *path, ph_addr start, char *local, size_t size);
    static size_t read(void *ctx, ph_addr addr, void *buf, size_t len);
    static bool is_interrupted(void *)
    {
        return interrupted;
    }
    /* use() has seen to that. */
    static bool has_run(void *)
    {
        return false;
    }
    static void show_progress(void *ctx, const char *phase, unsigned percent)
    {
        ph_progress_show(&static_cast<Session *>(ctx)->progress_, phase, percent);
    }

    struct ph_host host_;
    struct ph_session *session_; /* NULL when out of memory */
    struct ph_progress progress_ = {};
    lldb::SBProcess process_;
    uint32_t unique_id_ = 0, stop_id_ = 0;
};

/* What LLDB knows of a process that nobody else reaches. */
class Description
{
  public:
    explicit Description(lldb::SBProcess &process);
    struct ph_description get() const;

  private:
    void add_regions(lldb::SBProcess &process);
    void add_threads(lldb::SBProcess &process);

    pid_t pid_;
    ph_addr program_ = 0;
    std::vector<struct ph_region> regions_;
    std::vector<struct ph_thread> threads_;
    std::deque<std::string> names_; /* what the others point to, which a deque never moves */
};

Description::Description(lldb::SBProcess &process) : pid_(process.GetProcessID())
{
    lldb::SBTarget target = process.GetTarget();
    ph_addr header = target.GetModuleAtIndex(0).GetObjectFileHeaderAddress().GetLoadAddress(target);

    if (header != LLDB_INVALID_ADDRESS)
        program_ = header;
    add_regions(process);
    add_threads(process);
}

void Description::add_regions(lldb::SBProcess &process)
{
    lldb::SBMemoryRegionInfoList list = process.GetMemoryRegions();
    lldb::SBMemoryRegionInfo region;

    for (uint32_t i = 0; i < list.GetSize(); i++) {
        if (!list.GetMemoryRegionAtIndex(i, region) || !region.IsMapped())
            continue;
        unsigned flags = 0;
        flags |= region.IsReadable() ? +PH_REGION_READ : 0;
        flags |= region.IsWritable() ? +PH_REGION_WRITE : 0;
        flags |= region.IsExecutable() ? +PH_REGION_EXEC : 0;
        const char *name = region.GetName();
        names_.emplace_back(name ? name : "");
        regions_.push_back(
            {region.GetRegionBase(), region.GetRegionEnd(), flags, names_.back().c_str()});
    }
}

void Description::add_threads(lldb::SBProcess &process)
{
    for (uint32_t i = 0; i < process.GetNumThreads(); i++) {
        lldb::SBThread thread = process.GetThreadAtIndex(i);
        lldb::SBFrame frame = thread.GetFrameAtIndex(0);
        const char *name = thread.GetName();
        names_.emplace_back(name ? name : "");
        struct ph_thread known = {};
        known.tid = thread.GetThreadID();
        known.fs_base = frame.FindRegister("fs_base").GetValueAsUnsigned(0);
        known.sp = frame.GetSP();
        known.name = names_.back().c_str();
        threads_.push_back(known);
    }
}

struct ph_description Description::get() const
{
    return {pid_, program_, regions_.data(), regions_.size(), threads_.data(), threads_.size()};
}

/* A core's process id means nothing on this machine. */
pid_t local_pid(lldb::SBProcess &process)
{
    const char *plugin = process.GetPluginName();

    return plugin && strstr(plugin, "core") ? 0 : static_cast<pid_t>(process.GetProcessID());
}

void Session::use(lldb::SBProcess process)
{
    bool same = process.GetUniqueID() == unique_id_ && process.GetStopID(true) == stop_id_;

    process_ = process;
    if (same || !session_)
        return;
    unique_id_ = process.GetUniqueID();
    stop_id_ = process.GetStopID(true);
    ph_session_drop(session_);
    ph_session_use_debugged(session_, local_pid(process), nullptr);
}

enum ph_status Session::run(struct ph_invocation &inv, const char *prefix, FILE *out,
                            struct ph_error *err)
{
    SigintGuard guard;
    enum ph_status status = PH_OK;

    if (!session_)
        return ph_fail(err, PH_NO_MEMORY, "out of memory");
    ph_progress_begin(&progress_, stderr);
    if (ph_session_wants_description(session_, &inv)) {
        Description description(process_);
        struct ph_description got = description.get();
        status = ph_session_describe(session_, &got, err);
    }
    if (!status)
        status = ph_invocation_run(session_, &inv, prefix, out, err);
    ph_progress_show(&progress_, nullptr, 0);
    return status;
}

bool Session::local_path(void *ctx, const char *, ph_addr start, char *local, size_t size)
{
    lldb::SBTarget target = static_cast<Session *>(ctx)->process_.GetTarget();

    for (uint32_t i = 0; i < target.GetNumModules(); i++) {
        lldb::SBModule module = target.GetModuleAtIndex(i);
        if (module.GetObjectFileHeaderAddress().GetLoadAddress(target) == start)
            return module.GetFileSpec().GetPath(local, size) > 0;
    }
    return false;
}

/* What ReadMemory() gives up on is tried page by page, for it may fail as a whole. */
size_t Session::read(void *ctx, ph_addr addr, void *buf, size_t len)
{
    constexpr size_t page_bytes = 4096;
    lldb::SBProcess &process = static_cast<Session *>(ctx)->process_;
    lldb::SBError error;
    size_t done = process.ReadMemory(addr, buf, len, error);

    while (done < len) {
        size_t part = page_bytes - (addr + done) % page_bytes;
        part = part < len - done ? part : len - done;
        size_t got = process.ReadMemory(addr + done, static_cast<char *>(buf) + done, part, error);
        done += got;
        if (got < part)
            break;
    }
    return done;
}

/* ---- expressions ---- */

/* The one line of LLDB's that says what is wrong, without "error: <user expression 0>:1:1: ". */
std::string essence_of(const char *text)
{
    std::string line = text ? text : "no value";
    size_t place = line.find("<user expression");

    if (place == std::string::npos)
        place = line.find("error");
    if (place != std::string::npos)
        place = line.find(": ", place);
    if (place != std::string::npos)
        line = line.substr(place + 2);
    return line.substr(0, line.find('\n'));
}

/* Never compiled, and so never run in the target. */
lldb::SBValue evaluate(lldb::SBTarget &target, lldb::SBFrame frame, const char *text)
{
    lldb::SBExpressionOptions options;

    options.SetAllowJIT(false);
    options.SetIgnoreBreakpoints(true);
    options.SetTryAllThreads(false);
    options.SetSuppressPersistentResult(true);
    return frame.IsValid() ? frame.EvaluateExpression(text, options)
                           : target.EvaluateExpression(text, options);
}

enum ph_status resolve(lldb::SBTarget &target, struct ph_operand *operand, struct ph_error *err)
{
    lldb::SBFrame frame = target.GetProcess().GetSelectedThread().GetSelectedFrame();
    lldb::SBValue value = evaluate(target, frame, operand->text);
    lldb::SBError error = value.GetError();

    if (error.Success() && value.GetType().IsReferenceType())
        value = value.Dereference();
    if (error.Success())
        operand->address = value.GetValueAsUnsigned(error);
    if (error.Fail())
        return ph_fail(err, PH_USAGE, "'%.60s': %.150s", operand->text,
                       essence_of(error.GetCString()).c_str());
    operand->resolved = true;
    return PH_OK;
}

/* ---- commands ---- */

/* Text that the core writes, in memory. */
class TextBuffer
{
  public:
    TextBuffer() : file_(open_memstream(&data_, &len_))
    {
    }
    ~TextBuffer()
    {
        if (file_)
            fclose(file_);
        free(data_);
    }
    TextBuffer(const TextBuffer &) = delete;
    TextBuffer &operator=(const TextBuffer &) = delete;

    FILE *file()
    {
        return file_;
    }
    /* Without the newline at the end, which LLDB adds. */
    const char *text()
    {
        fflush(file_);
        if (len_ && data_[len_ - 1] == '\n')
            data_[len_ - 1] = '\0';
        return data_;
    }

  private:
    char *data_ = nullptr;
    size_t len_ = 0;
    FILE *file_;
};

class Command : public lldb::SBCommandPluginInterface
{
  public:
    Command(std::shared_ptr<Session> session, const struct ph_command *command, const char *prefix)
        : session_(std::move(session)), command_(command), prefix_(prefix)
    {
    }
    bool DoExecute(lldb::SBDebugger debugger, char **words,
                   lldb::SBCommandReturnObject &result) override;

  private:
    enum ph_status parse(struct ph_invocation *inv, char **words, struct ph_error *err);
    enum ph_status answer(lldb::SBTarget target, struct ph_invocation *inv, FILE *out,
                          struct ph_error *err);

    std::shared_ptr<Session> session_;
    const struct ph_command *command_;
    const char *prefix_;
};

/* LLDB passes the words behind the command's name, or NULL where there are none. */
enum ph_status Command::parse(struct ph_invocation *inv, char **words, struct ph_error *err)
{
    size_t count = 0;

    while (words && words[count])
        count++;
    std::unique_ptr<const char *[]> argv(new const char *[count + 1]);
    argv[0] = command_->name;
    for (size_t i = 0; i < count; i++)
        argv[i + 1] = words[i];
    return ph_invocation_parse(inv, count + 1, argv.get(), err);
}

enum ph_status check_process(lldb::SBProcess &process, struct ph_error *err)
{
    if (!process.IsValid() || process.GetState() == lldb::eStateExited ||
        process.GetState() == lldb::eStateDetached || process.GetState() == lldb::eStateUnloaded)
        return ph_fail(err, PH_FAILED, "no process; run or attach to one, or open a core file");
    if (process.GetState() == lldb::eStateRunning)
        return ph_fail(err, PH_FAILED, "the process is running; interrupt it first");
    return PH_OK;
}

enum ph_status Command::answer(lldb::SBTarget target, struct ph_invocation *inv, FILE *out,
                               struct ph_error *err)
{
    lldb::SBProcess process = target.GetProcess();
    bool wanted = ph_invocation_wants_target(inv);
    enum ph_status status = wanted ? check_process(process, err) : PH_OK;
    struct ph_operand *operand;

    while (!status && (operand = ph_invocation_unresolved(inv)))
        status = resolve(target, operand, err);
    if (status)
        return status;
    if (wanted)
        session_->use(process);
    return session_->run(*inv, prefix_, out, err);
}

bool Command::DoExecute(lldb::SBDebugger debugger, char **words,
                        lldb::SBCommandReturnObject &result)
{
    struct ph_invocation inv = {};
    struct ph_error err;
    TextBuffer out;

    enum ph_status status =
        out.file() ? parse(&inv, words, &err) : ph_fail(&err, PH_NO_MEMORY, "out of memory");
    if (!status) {
        status = answer(debugger.GetSelectedTarget(), &inv, out.file(), &err);
        ph_invocation_free(&inv);
    }
    if (status) {
        result.SetError((std::string("py-heap: ") + err.message).c_str());
        return false;
    }
    result.AppendMessage(out.text());
    result.SetStatus(lldb::eReturnStatusSuccessFinishResult);
    return true;
}

/* ---- registration ---- */

/* What LLDB's `help` shows after "Syntax: ". */
std::string syntax_of(const struct ph_command *command, const char *prefix)
{
    static const char mark[] = "Usage: ";
    TextBuffer help;

    if (!help.file())
        return prefix;
    ph_command_write_help(command, prefix, help.file());
    const char *text = help.text();
    return strncmp(text, mark, sizeof mark - 1) ? text : text + sizeof mark - 1;
}

void register_commands(lldb::SBDebugger &debugger, const std::shared_ptr<Session> &session,
                       const char *prefix)
{
    lldb::SBCommand parent = debugger.GetCommandInterpreter().AddMultiwordCommand(
        prefix, "Look into the heap of a CPython process: what fills it, and who holds it.");
    const struct ph_command *command;

    for (size_t i = 0; (command = ph_command_at(i)); i++)
        parent.AddCommand(command->name, new Command(session, command, prefix), command->brief,
                          syntax_of(command, prefix).c_str());
}

} // namespace

namespace lldb
{

/* What `plugin load` looks for. */
__attribute__((visibility("default"))) bool PluginInitialize(SBDebugger debugger)
{
    auto session = std::make_shared<Session>();

    register_commands(debugger, session, "pymem");
    register_commands(debugger, session, "py-heap");
    return true;
}

} // namespace lldb
