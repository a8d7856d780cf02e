/* functools.lru_cache (Modules/_functoolsmodule.c): the wrapper is the root of a ring of links,
 * oldest first. A link is an object without GC support that the cache's dict and the ring hold, and
 * that holds a key and a result. */
#include "objects/object.h"

/* From 3.7 on the wrapper's traverse function shows what the links hold as its own; before, it
 * shows the links. */
static bool shows_through_links(const struct ph_objects *objects)
{
    return objects->python->layout.version >= 0x03070000;
}

static void lru_cache_refs(struct ph_objects *objects, const struct ph_object *o,
                           const struct ph_visitor *v)
{
    const struct ph_python *python = objects->python;
    const struct ph_layout *L = &python->layout;
    ph_addr cache = ph_object_ptr(objects, o, L->lru_cache.cache);
    ph_addr link = ph_object_ptr(objects, o, L->lru_cache.root_next);
    uint64_t n = ph_sane_count((int64_t)ph_python_word(python, cache, L->dict.ma_used));
    for (uint64_t i = 0; i < n && link && link != o->address; i++) {
        ph_visit(v, link, PH_LABEL_NOTE, (uint64_t)(uintptr_t) "link", PH_REF_STRONG);
        if (shows_through_links(objects)) {
            ph_visit(v, ph_python_word(python, link, L->lru_link.key), PH_LABEL_NOTE,
                     (uint64_t)(uintptr_t) "cached key", PH_REF_STRONG);
            ph_visit(v, ph_python_word(python, link, L->lru_link.result), PH_LABEL_NOTE,
                     (uint64_t)(uintptr_t) "cached result", PH_REF_STRONG);
        }
        link = ph_python_word(python, link, L->lru_link.next);
    }
}

const struct ph_family ph_family_lru_cache = {
    .type_names = PH_TYPE_NAMES("functools._lru_cache_wrapper"),
    .struct_size = PH_STRUCT_OF(lru_cache),
    .fields = PH_REF_FIELDS(PH_REF_NOTE("cache", lru_cache, cache),
                            PH_REF_NOTE("maximal size", lru_cache, maxsize_O),
                            PH_REF_NOTE("function", lru_cache, func),
                            PH_REF_NOTE("mark between arguments", lru_cache, kwd_mark),
                            PH_REF_NOTE("type of links", lru_cache, lru_list_elem_type),
                            PH_REF_NOTE("type of cache_info()", lru_cache, cache_info_type),
                            PH_REF_FIELD("__dict__", lru_cache, dict)),
    .refs = lru_cache_refs,
};

static void lru_link_refs(struct ph_objects *objects, const struct ph_object *o,
                          const struct ph_visitor *v)
{
    const struct ph_layout *L = &objects->python->layout;
    unsigned flags = shows_through_links(objects) ? PH_REF_STRONG | PH_REF_SHARED : PH_REF_STRONG;
    ph_visit(v, ph_object_ptr(objects, o, L->lru_link.key), PH_LABEL_NOTE,
             (uint64_t)(uintptr_t) "key", flags);
    ph_visit(v, ph_object_ptr(objects, o, L->lru_link.result), PH_LABEL_NOTE,
             (uint64_t)(uintptr_t) "result", flags);
}

const struct ph_family ph_family_lru_link = {
    .type_names = PH_TYPE_NAMES("functools._lru_list_elem"),
    .struct_size = PH_STRUCT_OF(lru_link),
    .refs = lru_link_refs,
};
