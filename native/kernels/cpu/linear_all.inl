// linear_all.inl — what a linear layer is made of, in order of use.
constexpr int kNR = 2 * kLanes;
#include "math.inl"
#include "tile.inl"
#include "pack.inl"
#include "gemm.inl"
#include "peak.inl"
#include "linear.inl"
