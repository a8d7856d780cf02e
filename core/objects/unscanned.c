/* Types whose words must not be guessed, for some of them are borrowed pointers or memory that
 * nobody wrote. */
#include "objects/object.h"

/* ---- borrowed pointers ---- */

/* The current group refers to the groupby object, which only knows it (Modules/itertoolsmodule.c).
 */
const struct ph_family ph_family_groupby = {
    .type_names = PH_TYPE_NAMES("itertools.groupby"),
    .struct_size = PH_STRUCT_OF(groupby),
    .fields = PH_REF_FIELDS(
        PH_REF_NOTE("iterator", groupby, it), PH_REF_NOTE("key function", groupby, keyfunc),
        PH_REF_NOTE("key of the group", groupby, tgtkey), PH_REF_NOTE("key", groupby, currkey),
        PH_REF_NOTE("value", groupby, currvalue), PH_REF_FIELD_WEAK("group", groupby, currgrouper)),
};

/* Iterators over a Context's tree: the path of nodes is the tree's own (Python/hamt.c). */
const struct ph_family ph_family_hamt_iter = {
    .type_names = PH_TYPE_NAMES("keys", "values", "items"),
    .struct_size = PH_STRUCT_OF(hamt_iter),
    .fields = PH_REF_FIELDS(PH_REF_NOTE("mapping", hamt_iter, hi_obj)),
};

/* What a thread's dict holds for a thread-local object, to 3.12 (Modules/_threadmodule.c). */
const struct ph_family ph_family_local_dummy = {
    .type_names = PH_TYPE_NAMES("_thread._localdummy"),
    .struct_size = PH_STRUCT_OF(local_dummy),
    .fields = PH_REF_FIELDS(PH_REF_FIELD_WEAK("localdict", local_dummy, localdict)),
};

/* ---- sqlite3's cache of statements (to 3.10; Modules/_sqlite/cache.c) ---- */

/* The connection is borrowed, unless decref_factory says otherwise. */
static void sqlite_cache_refs(struct ph_objects *objects, const struct ph_object *o,
                              const struct ph_visitor *v)
{
    const struct ph_layout *L = &objects->python->layout;
    bool owned = ph_object_int(objects, o, L->sqlite_cache.decref_factory) != 0;
    ph_visit(v, ph_object_ptr(objects, o, L->sqlite_cache.factory), PH_LABEL_NOTE,
             (uint64_t)(uintptr_t) "factory", owned ? PH_REF_STRONG : PH_REF_WEAK);
}

const struct ph_family ph_family_sqlite_cache = {
    .type_names = PH_TYPE_NAMES("sqlite3.Cache"),
    .struct_size = PH_STRUCT_OF(sqlite_cache),
    .fields = PH_REF_FIELDS(PH_REF_NOTE("mapping", sqlite_cache, mapping)),
    .refs = sqlite_cache_refs,
};

const struct ph_family ph_family_sqlite_node = {
    .type_names = PH_TYPE_NAMES("sqlite3Node", "sqlite3.Node"),
    .struct_size = PH_STRUCT_OF(sqlite_node),
    .fields =
        PH_REF_FIELDS(PH_REF_NOTE("key", sqlite_node, key), PH_REF_NOTE("data", sqlite_node, data)),
};

/* ---- memory that nobody wrote ---- */

/* Positions of groups that did not match (Modules/_sre.c). */
const struct ph_family ph_family_re_match = {
    .type_names = PH_TYPE_NAMES("re.Match", "_sre.SRE_Match"),
    .struct_size = PH_STRUCT_OF(re_match),
    .fields =
        PH_REF_FIELDS(PH_REF_FIELD("string", re_match, string),
                      PH_REF_FIELD("regs", re_match, regs), PH_REF_FIELD("re", re_match, pattern)),
};

/* zlib's own part of the struct (Modules/zlibmodule.c). */
const struct ph_family ph_family_zlib_stream = {
    .type_names = PH_TYPE_NAMES("zlib.Compress", "zlib.Decompress"),
    .struct_size = PH_STRUCT_OF(zlib_stream),
    .fields = PH_REF_FIELDS(PH_REF_FIELD("unused_data", zlib_stream, unused_data),
                            PH_REF_FIELD("unconsumed_tail", zlib_stream, unconsumed_tail),
                            PH_REF_NOTE("dictionary", zlib_stream, zdict)),
};

/* Locks, random generators and hashes hold nothing, but are full of numbers. */
const struct ph_family ph_family_leaf = {
    .type_names = PH_TYPE_NAMES(
        "_thread.lock", "_thread.RLock", "_random.Random", "_md5.md5", "_sha1.sha1",
        "_sha256.sha224", "_sha256.sha256", "_sha512.sha384", "_sha512.sha512", "_sha2.SHA224Type",
        "_sha2.SHA256Type", "_sha2.SHA384Type", "_sha2.SHA512Type", "_sha3.sha3_224",
        "_sha3.sha3_256", "_sha3.sha3_384", "_sha3.sha3_512", "_sha3.shake_128", "_sha3.shake_256",
        "_blake2.blake2b", "_blake2.blake2s"),
};
