// Quantization by groups in the instructions that every processor of the architecture has: plain C, or NEON on Arm.

#include "lanes.h"
#include "quantization_rows.h"

const ck_grid_kernels ck_grids_portable = CK_GRID_KERNELS;
