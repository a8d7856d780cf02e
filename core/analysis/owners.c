#include "analysis/owners.h"

#include "analysis/paths.h"
#include "objects/dict.h"
#include "objects/frame.h"
#include "objects/str.h"

enum {
    MOST_ATTRIBUTES = 2, /* that lengthen a name */
    MOST_NAME_CHARS = 100,
    OBJECTS_A_LOOK = 1 << 16,
};

/* What an object is to the names of those right below it. */
enum step {
    STEP_INSIDE,     /* they have its own name */
    STEP_MODULES,    /* sys.modules */
    STEP_NAMESPACE,  /* a module or its dict: each has a name of its own */
    STEP_FRAME,      /* a frame object */
    STEP_OWNER,      /* its attributes lengthen its name */
    STEP_ATTRIBUTES, /* the __dict__ of an owner: its keys do */
};

struct naming {
    struct ph_graph *graph;
    struct ph_objects *objects;
    struct ph_owners *out;
    uint8_t *steps;        /* enum step, by object */
    uint8_t *attributes;   /* by object: how many its name has */
    uint32_t *immediate;   /* by object: its immediate dominator */
    struct ph_map modules; /* id of a module's dict + 1 -> id of the module */
    struct ph_str text;
    uint32_t above; /* while references are visited: whose */
    bool failed;
};

static void set(struct naming *n, uint32_t id, uint32_t name, enum step step, unsigned attributes)
{
    n->out->of[id] = name;
    n->steps[id] = (uint8_t)step;
    n->attributes[id] = (uint8_t)attributes;
}

/* Give an object the name that n->text has. */
static void set_text(struct naming *n, uint32_t id, enum step step, unsigned attributes)
{
    uint32_t name;
    if (n->text.failed || !ph_names_id(&n->out->names, ph_str_text(&n->text), &name))
        n->failed = true;
    else
        set(n, id, name, step, attributes);
}

static const struct ph_family *family_of(const struct naming *n, uint32_t id)
{
    return ph_heap_type(n->graph->heap, id)->family;
}

/* ---- modules ---- */

static ph_addr module_dict(const struct naming *n, const struct ph_object *o)
{
    return ph_object_ptr(n->objects, o, n->objects->python->layout.module.md_dict);
}

static void find_modules(struct naming *n)
{
    struct ph_heap *heap = n->graph->heap;
    struct ph_object o;
    for (uint32_t id = 0; id < heap->count && !n->failed; id++) {
        if (family_of(n, id) != &ph_family_module || !ph_heap_open(heap, id, &o))
            continue;
        uint32_t dict = ph_heap_find(heap, module_dict(n, &o));
        if (dict != PH_NO_OBJECT && !ph_map_insert(&n->modules, (uint64_t)dict + 1, id))
            n->failed = true;
    }
}

/* The module that an object is, or whose dict it is; PH_NO_OBJECT. */
static uint32_t module_of(const struct naming *n, uint32_t id)
{
    uint32_t module = PH_NO_OBJECT;
    if (family_of(n, id) == &ph_family_module)
        return id;
    ph_map_find(&n->modules, (uint64_t)id + 1, &module);
    return module;
}

static void set_module(struct naming *n, uint32_t id, uint32_t module)
{
    struct ph_object o;
    ph_addr name = 0;
    ph_str_clear(&n->text);
    if (ph_heap_open(n->graph->heap, module, &o))
        name = ph_dict_get_string(n->objects, module_dict(n, &o), "__name__");
    if (!ph_str_object_text(n->objects, name, MOST_NAME_CHARS, &n->text))
        ph_str_append(&n->text, "<module>");
    set_text(n, id, STEP_NAMESPACE, 0);
}

/* ---- what hangs below the root ---- */

static void append_frame(struct naming *n, const struct ph_frame *frame)
{
    ph_frame_function(n->objects, frame, &n->text);
    ph_str_append(&n->text, " (");
    ph_frame_file(n->objects, frame, &n->text);
    ph_str_append(&n->text, ")");
}

static void append_local(struct naming *n, const struct ph_frame *frame, struct ph_label label)
{
    ph_label_format(n->objects, label, &n->text);
    ph_str_append(&n->text, " in ");
    append_frame(n, frame);
}

/* True: n->text has a name of what a frame, a state or a variable holds. */
static bool append_root(struct naming *n, const struct ph_root_reference *r)
{
    struct ph_frame frame;
    if (r->root.kind == PH_ROOT_FRAME && ph_frame_open(n->objects, r->root.address, &frame) &&
        frame.has_code) {
        append_local(n, &frame, r->label);
        return true;
    }
    if (r->root.kind == PH_ROOT_FRAME || !r->root.name)
        return false;
    if (r->root.kind == PH_ROOT_DATA)
        ph_str_append(&n->text, "a variable of ");
    ph_str_append_visible(&n->text, r->root.name, strlen(r->root.name));
    return true;
}

/* An object that several hold, or something that is no object. */
static void set_shared(struct naming *n, uint32_t id)
{
    static const struct {
        unsigned bit;
        const char *word;
    } words[] = {
        {PH_ROOTED_STATIC, "static "},
        {PH_ROOTED_IMMORTAL, "immortal "},
        {PH_ROOTED_NATIVE, "native "},
        {PH_ROOTED_GARBAGE, "garbage "},
    };
    unsigned rooted = ph_graph_rooted(n->graph, id);
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (rooted & words[i].bit) {
            ph_str_append(&n->text, words[i].word);
            break;
        }
    }
    ph_str_appendf(&n->text, "<%s>", ph_heap_type(n->graph->heap, id)->name);
    set_text(n, id, STEP_OWNER, 0);
}

static void set_below_root(struct naming *n, uint32_t id)
{
    struct ph_heap *heap = n->graph->heap;
    const struct ph_root_reference *root = ph_path_root(n->graph, id);
    const struct ph_type *type;
    ph_str_clear(&n->text);
    if (root && root->root.name && strcmp(root->root.name, "sys.modules") == 0) {
        ph_str_append(&n->text, "sys.modules");
        set_text(n, id, STEP_MODULES, 0);
    } else if (root && ph_path_tells_root(n->graph, id) && append_root(n, root)) {
        set_text(n, id, STEP_OWNER, 0);
    } else if ((ph_heap_type(heap, id)->flags & PH_TPFLAGS_TYPE_SUBCLASS) &&
               (type = ph_type_at(n->objects, ph_heap_address(heap, id)))) {
        ph_str_append(&n->text, type->name);
        set_text(n, id, STEP_OWNER, 0);
    } else {
        set_shared(n, id);
    }
}

/* ---- what hangs below an object ---- */

static bool is_own_dict(struct ph_label label)
{
    return label.kind == PH_LABEL_FIELD &&
           strcmp((const char *)(uintptr_t)label.arg, "__dict__") == 0;
}

/* Append ".name" where a reference is an attribute: by itself, or as a key of a dict of attributes.
 */
static bool append_attribute(struct naming *n, struct ph_label label, enum step step)
{
    switch (label.kind) {
    case PH_LABEL_FIELD:
        ph_str_appendf(&n->text, ".%s", (const char *)(uintptr_t)label.arg);
        return true;
    case PH_LABEL_ATTR:
    case PH_LABEL_MEMBER:
        ph_label_format(n->objects, label, &n->text);
        return true;
    case PH_LABEL_VALUE:
        ph_str_append(&n->text, ".");
        return step != STEP_OWNER &&
               ph_str_object_text(n->objects, label.arg, MOST_NAME_CHARS, &n->text);
    default:
        return false;
    }
}

static bool frame_of(const struct naming *n, uint32_t id, struct ph_frame *frame)
{
    struct ph_object o;
    return family_of(n, id) == &ph_family_frame && ph_heap_open(n->graph->heap, id, &o) &&
           ph_object_frame(n->objects, &o, frame) && frame->has_code;
}

static void name_local(struct naming *n, uint32_t target, struct ph_label label)
{
    struct ph_frame frame;
    bool is_slot =
        label.kind == PH_LABEL_LOCAL || label.kind == PH_LABEL_CELL || label.kind == PH_LABEL_STACK;
    if (!is_slot || !frame_of(n, n->above, &frame))
        return;
    append_local(n, &frame, label);
    set_text(n, target, STEP_OWNER, 0);
}

static void name_target(struct naming *n, uint32_t target, struct ph_label label)
{
    uint32_t above = n->above, module = module_of(n, target);
    enum step step = (enum step)n->steps[above];
    unsigned attributes = n->attributes[above];
    ph_str_clear(&n->text);
    if (module != PH_NO_OBJECT) {
        set_module(n, target, module);
    } else if (step == STEP_FRAME) {
        name_local(n, target, label);
    } else if (step == STEP_OWNER && is_own_dict(label)) {
        set(n, target, n->out->of[above], STEP_ATTRIBUTES, attributes);
    } else {
        ph_str_append(&n->text, n->out->names.items[n->out->of[above]]);
        if (append_attribute(n, label, step))
            set_text(n, target, STEP_OWNER, step == STEP_NAMESPACE ? 0 : attributes + 1);
    }
}

static void see_edge(void *ctx, uint32_t target, struct ph_label label, unsigned flags)
{
    struct naming *n = ctx;
    if ((flags & PH_REF_STRONG) && n->immediate[target] == n->above &&
        n->out->of[target] == PH_NO_OBJECT && !n->failed)
        name_target(n, target, label);
}

/* Whether those right below an object have names by what they are to it. Containers and functions
 * have none but in their elements and in what every function has. */
static bool names_go_on(const struct naming *n, uint32_t id)
{
    const struct ph_type *type = ph_heap_type(n->graph->heap, id);
    const struct ph_family *f = type->family;
    switch ((enum step)n->steps[id]) {
    case STEP_MODULES:
    case STEP_NAMESPACE:
    case STEP_FRAME:
        return true;
    case STEP_ATTRIBUTES:
        return n->attributes[id] < MOST_ATTRIBUTES;
    case STEP_OWNER:
        return n->attributes[id] < MOST_ATTRIBUTES &&
               (type->is_python_class ||
                (f != &ph_family_list && f != &ph_family_tuple && f != &ph_family_set &&
                 f != &ph_family_dict && f != &ph_family_function));
    case STEP_INSIDE:
        break;
    }
    return false;
}

/* ---- all ---- */

static void name_object(struct naming *n, uint32_t id)
{
    uint32_t above = n->immediate[id], module = module_of(n, id);
    struct ph_frame frame;
    if (module != PH_NO_OBJECT) {
        set_module(n, id, module);
    } else if (frame_of(n, id, &frame)) {
        ph_str_clear(&n->text);
        ph_str_append(&n->text, "frame of ");
        append_frame(n, &frame);
        set_text(n, id, STEP_FRAME, 0);
    } else if (above == n->graph->root) {
        set_below_root(n, id);
    } else if (n->out->of[id] == PH_NO_OBJECT) {
        set(n, id, n->out->of[above], STEP_INSIDE, 0);
    }
    n->above = id;
    if (!n->failed && names_go_on(n, id))
        ph_heap_edges(n->graph->heap, id, see_edge, n);
}

enum ph_status ph_owners_find(struct ph_graph *graph, const struct ph_host *host,
                              struct ph_owners *out, struct ph_error *err)
{
    const struct ph_dominators *tree = &graph->dominators;
    uint32_t count = graph->heap->count;
    struct naming n = {.graph = graph, .objects = &graph->heap->objects, .out = out};
    enum ph_status status = PH_OK;
    *out = (struct ph_owners){.of = ph_malloc((count + 1u) * sizeof *out->of)};
    n.steps = ph_calloc(count + 1u, 1);
    n.attributes = ph_calloc(count + 1u, 1);
    n.immediate = ph_malloc((count + 1u) * sizeof *n.immediate);
    n.failed = !out->of || !n.steps || !n.attributes || !n.immediate;
    if (!n.failed) {
        memset(out->of, 0xff, (count + 1u) * sizeof *out->of); /* PH_NO_OBJECT */
        for (uint32_t place = PH_ROOT_PLACE + 1; place < tree->reached; place++)
            n.immediate[tree->order[place]] = tree->order[tree->above[place]];
        find_modules(&n);
    }
    for (uint32_t i = PH_ROOT_PLACE + 1; i < tree->reached && !n.failed && !status; i++) {
        if (i % OBJECTS_A_LOOK == 0 && ph_host_interrupted(host))
            status = PH_INTERRUPTED;
        else
            name_object(&n, tree->order[i]);
    }
    free(n.steps);
    free(n.attributes);
    free(n.immediate);
    ph_map_free(&n.modules);
    ph_str_free(&n.text);
    if (n.failed)
        status = PH_NO_MEMORY;
    if (!status)
        return PH_OK;
    ph_owners_free(out);
    return ph_fail(err, status, status == PH_INTERRUPTED ? "interrupted" : "out of memory");
}

void ph_owners_free(struct ph_owners *owners)
{
    ph_names_free(&owners->names);
    free(owners->of);
    owners->of = NULL;
}
