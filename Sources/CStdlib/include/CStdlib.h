#pragma once
#include <stddef.h>

/// A file that travels inside the binary.
typedef struct {
  const char *name;
  const unsigned char *bytes;
  size_t byte_count;
} gradus_embedded_file;

/// The table of embedded files, and its length.
const gradus_embedded_file *gradus_embedded_files(void);
size_t gradus_embedded_file_count(void);
