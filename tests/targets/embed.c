/*
 * A program that has an interpreter inside.
 *
 *     embed PROGRAM ARGUMENTS           runs the one that it is linked to
 *     embed -l LIBRARY... PROGRAM ...   opens each library, so that its symbols are its own affair
 *                                       (RTLD_LOCAL), and runs the one named last
 *     embed -r LIBRARY HOME ...         opens and starts that one too, before
 *     embed [-l LIBRARY...]             opens them and waits
 *
 * The module "host" lends libc's fork, for where ctypes cannot be loaded.
 */
#include <Python.h>

#include <dlfcn.h>
#include <unistd.h>

#ifdef OPENS_LIBRARIES
static void *library;
#define PYTHON(name) ((__typeof__(name) *)dlsym(library, #name))
#else
#define PYTHON(name) name
#endif

static PyObject *host_fork(PyObject *self, PyObject *unused)
{
    (void)self;
    (void)unused;
    return PYTHON(PyLong_FromLong)(fork());
}

static PyMethodDef methods[] = {{"fork", host_fork, METH_NOARGS, NULL}, {NULL, NULL, 0, NULL}};
static struct PyModuleDef host = {
    PyModuleDef_HEAD_INIT, "host", NULL, -1, methods, NULL, NULL, NULL, NULL};

static PyObject *make_host(void)
{
    return PYTHON(PyModule_Create2)(&host, PYTHON_API_VERSION);
}

int main(int argc, char **argv)
{
    char text[8192];
    int at = 1;
#ifdef OPENS_LIBRARIES
    while (at + 1 < argc && argv[at][0] == '-') {
        library = dlopen(argv[at + 1], RTLD_NOW | RTLD_LOCAL);
        if (!library) {
            fprintf(stderr, "%s\n", dlerror());
            return 1;
        }
        if (argv[at][1] == 'r') {
            const char *home = getenv("PYTHONHOME");
            char *kept = home ? strdup(home) : NULL;
            setenv("PYTHONHOME", argv[at + 2], 1);
            PYTHON(Py_Initialize)();
            setenv("PYTHONHOME", kept ? kept : "", 1);
            free(kept);
            at++;
        }
        at += 2;
    }
#endif
    if (at == argc)
        return pause();
    size_t len = (size_t)snprintf(text, sizeof text, "import sys\nsys.argv = [");
    for (int i = at; i < argc; i++)
        len += (size_t)snprintf(text + len, sizeof text - len, "'%s',", argv[i]);
    snprintf(text + len, sizeof text - len,
             "]\nsys.path.insert(0, '%.*s')\n"
             "exec(compile(open(sys.argv[0]).read(), sys.argv[0], 'exec'))\n",
             (int)(strrchr(argv[at], '/') - argv[at]), argv[at]);
    PYTHON(PyImport_AppendInittab)("host", make_host);
    PYTHON(Py_Initialize)();
    return PYTHON(PyRun_SimpleStringFlags)(text, NULL);
}
