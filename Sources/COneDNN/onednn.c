#include "conednn.h"
#include <dlfcn.h>
#include <pthread.h>

// oneDNN is loaded when the first product that goes to it is made or planned: linked to the program it would cost 2 ms and 5 MiB of
// each start, which most runs have no use for, and the program would not start where it is missing.
//
// For bfloat16, its matmul primitives are made once, for matrices of any size: one for each way in which operands can be transposed,
// with and without accumulation. They take no scratchpad; what they pack, they allocate, as OpenBLAS does.

#if __has_include(<dnnl.h>)
#include <dnnl.h>
#define HAS_ONEDNN (DNNL_VERSION_MAJOR == 2 || DNNL_VERSION_MAJOR == 3)
#endif

#if HAS_ONEDNN

#define TEXT(x) #x
#define LIBRARY(major) "libdnnl.so." TEXT(major)

#if DNNL_VERSION_MAJOR == 2
#define OF_THIS_VERSION(f) f(memory_desc_init_by_strides) f(matmul_desc_init) f(primitive_desc_create)
#else
#define OF_THIS_VERSION(f) f(memory_desc_create_with_strides) f(memory_desc_destroy) f(matmul_primitive_desc_create)
#endif
#define FUNCTIONS(f) \
  f(engine_create) f(stream_create) f(get_effective_cpu_isa) f(primitive_attr_create) f(primitive_attr_set_post_ops) \
  f(post_ops_create) f(post_ops_append_sum) f(primitive_create) f(primitive_execute) f(memory_create) \
  f(memory_destroy) f(sgemm) OF_THIS_VERSION(f)

static struct {
#define DECLARE(name) __typeof__(dnnl_##name) *name;
  FUNCTIONS(DECLARE)
  void (*set_thread_count)(int);
} lib;

static pthread_once_t loading = PTHREAD_ONCE_INIT, making = PTHREAD_ONCE_INIT;
/// The instruction sets that the library uses; 0 without it.
static int isa;
static bool has_native_bf16;
static dnnl_engine_t engine;
static dnnl_stream_t stream;
/// By whether a and b are transposed, and whether to accumulate.
static dnnl_primitive_t products[2][2][2];

#if DNNL_VERSION_MAJOR == 2
typedef dnnl_memory_desc_t description;
static bool describe(description *d, dnnl_data_type_t type, long rows, long columns, long row, long column) {
  dnnl_dims_t sizes = {rows, columns}, strides = {row, column};
  return lib.memory_desc_init_by_strides(d, 2, sizes, type, strides) == dnnl_success;
}
static void forget(description *d) {}
static bool make(
    dnnl_primitive_desc_t *result, const description *a, const description *b, const description *c,
    dnnl_primitive_attr_t attr) {
  dnnl_matmul_desc_t product;
  return lib.matmul_desc_init(&product, a, b, NULL, c) == dnnl_success
      && lib.primitive_desc_create(result, &product, attr, engine, NULL) == dnnl_success;
}
static bool place(dnnl_memory_t *result, const description *d, const void *base) {
  return lib.memory_create(result, d, engine, (void *)base) == dnnl_success;
}
static bool append_sum(dnnl_post_ops_t ops) { return lib.post_ops_append_sum(ops, 1) == dnnl_success; }
#else
typedef dnnl_memory_desc_t description;
static bool describe(description *d, dnnl_data_type_t type, long rows, long columns, long row, long column) {
  dnnl_dims_t sizes = {rows, columns}, strides = {row, column};
  return lib.memory_desc_create_with_strides(d, 2, sizes, type, strides) == dnnl_success;
}
static void forget(description *d) { lib.memory_desc_destroy(*d); }
static bool make(
    dnnl_primitive_desc_t *result, const description *a, const description *b, const description *c,
    dnnl_primitive_attr_t attr) {
  return lib.matmul_primitive_desc_create(result, engine, *a, *b, NULL, *c, attr) == dnnl_success;
}
static bool place(dnnl_memory_t *result, const description *d, const void *base) {
  return lib.memory_create(result, *d, engine, (void *)base) == dnnl_success;
}
static bool append_sum(dnnl_post_ops_t ops) {
  return lib.post_ops_append_sum(ops, 1, 0, dnnl_data_type_undef) == dnnl_success;
}
#endif

/// Has the library start no threads for the calling one. libgomp keeps that number for each thread.
static void be_serial(void) {
  static _Thread_local bool is_serial;
  if (is_serial) return;
  if (lib.set_thread_count) lib.set_thread_count(1);
  is_serial = true;
}

static bool make_product(bool a_transposed, bool b_transposed, bool accumulating) {
  const long any = DNNL_RUNTIME_DIM_VAL;
  description a, b, c;
  dnnl_primitive_attr_t attr;
  dnnl_post_ops_t ops;
  dnnl_primitive_desc_t chosen;
  bool is_made =
      describe(&a, dnnl_bf16, any, any, a_transposed ? 1 : any, a_transposed ? any : 1)
      && describe(&b, dnnl_bf16, any, any, b_transposed ? 1 : any, b_transposed ? any : 1)
      && describe(&c, dnnl_f32, any, any, any, 1)
      && lib.primitive_attr_create(&attr) == dnnl_success && lib.post_ops_create(&ops) == dnnl_success
      && (!accumulating || (append_sum(ops) && lib.primitive_attr_set_post_ops(attr, ops) == dnnl_success))
      && make(&chosen, &a, &b, &c, attr)
      && lib.primitive_create(&products[a_transposed][b_transposed][accumulating], chosen) == dnnl_success;
  return is_made;
}

static void load(void) {
  void *library = dlopen(LIBRARY(DNNL_VERSION_MAJOR), RTLD_NOW | RTLD_LOCAL);
  if (!library) return;
#define LOAD(name) \
  if (!(lib.name = (__typeof__(lib.name))dlsym(library, "dnnl_" #name))) return;
  FUNCTIONS(LOAD)
  // Where oneDNN has threads of another kind than OpenMP's, there is no such function.
  lib.set_thread_count = (void (*)(int))dlsym(library, "omp_set_num_threads");
  if (lib.set_thread_count) isa = lib.get_effective_cpu_isa();
}

static bool uses(int instructions) {
  pthread_once(&loading, load);
  return (isa & instructions) == instructions;
}

static void make_products(void) {
  if (!uses(dnnl_cpu_isa_avx512_core_bf16)) return;
  be_serial();
  if (lib.engine_create(&engine, dnnl_cpu, 0) != dnnl_success
      || lib.stream_create(&stream, engine, dnnl_stream_default_flags) != dnnl_success)
    return;
  for (int which = 0; which < 8; which++)
    if (!make_product(which >> 2, which >> 1 & 1, which & 1)) return;
  has_native_bf16 = true;
}

bool conednn_has_native_bf16(void) {
  pthread_once(&making, make_products);
  return has_native_bf16;
}

bool conednn_has_wide_f32(void) { return uses(dnnl_cpu_isa_avx512_core); }

bool conednn_multiply_f32(
    long rows, long columns, long depth, const float *a, bool a_transposed, long a_stride, const float *b,
    bool b_transposed, long b_stride, float scale, bool accumulating, float *result, long result_stride) {
  be_serial();
  return lib.sgemm(
             a_transposed ? 'T' : 'N', b_transposed ? 'T' : 'N', rows, columns, depth, scale, a, a_stride, b, b_stride,
             accumulating, result, result_stride)
      == dnnl_success;
}

static bool execute(
    dnnl_primitive_t product, const description *a, const void *a_base, const description *b, const void *b_base,
    const description *c, void *c_base) {
  dnnl_memory_t left, right, result;
  if (!place(&left, a, a_base)) return false;
  bool is_done = false;
  if (place(&right, b, b_base)) {
    if (place(&result, c, c_base)) {
      dnnl_exec_arg_t arguments[] = {{DNNL_ARG_SRC, left}, {DNNL_ARG_WEIGHTS, right}, {DNNL_ARG_DST, result}};
      is_done = lib.primitive_execute(product, stream, 3, arguments) == dnnl_success;
      lib.memory_destroy(result);
    }
    lib.memory_destroy(right);
  }
  lib.memory_destroy(left);
  return is_done;
}

bool conednn_multiply(
    long rows, long columns, long depth, const uint16_t *a, bool a_transposed, long a_stride, const uint16_t *b,
    bool b_transposed, long b_stride, bool accumulating, float *result, long result_stride) {
  be_serial();
  description left, right, whole;
  bool is_done = false;
  if (describe(&left, dnnl_bf16, rows, depth, a_transposed ? 1 : a_stride, a_transposed ? a_stride : 1)) {
    if (describe(&right, dnnl_bf16, depth, columns, b_transposed ? 1 : b_stride, b_transposed ? b_stride : 1)) {
      if (describe(&whole, dnnl_f32, rows, columns, result_stride, 1)) {
        is_done = execute(
            products[a_transposed][b_transposed][accumulating], &left, a, &right, b, &whole, result);
        forget(&whole);
      }
      forget(&right);
    }
    forget(&left);
  }
  return is_done;
}

#else

bool conednn_has_native_bf16(void) { return false; }
bool conednn_has_wide_f32(void) { return false; }

bool conednn_multiply_f32(
    long rows, long columns, long depth, const float *a, bool a_transposed, long a_stride, const float *b,
    bool b_transposed, long b_stride, float scale, bool accumulating, float *result, long result_stride) {
  return false;
}

bool conednn_multiply(
    long rows, long columns, long depth, const uint16_t *a, bool a_transposed, long a_stride, const uint16_t *b,
    bool b_transposed, long b_stride, bool accumulating, float *result, long result_stride) {
  return false;
}

#endif
