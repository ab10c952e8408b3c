// Exact arithmetic: the operations of docs/ARITHMETIC.md. Compiled by NVRTC for the GPU, and by a C++ compiler for the
// emulator, which defines the CUDA names that are used here.
//
// Floats are only added, subtracted, multiplied, divided and rooted, each operation rounded by itself.

typedef unsigned char u8;
typedef signed char i8;
typedef unsigned int u32;
typedef unsigned long long u64;

// Elements that share a scale.
const u32 BLOCK = 32;
// Partial sums of a reduction: element i is added to sum i % LANES.
const u32 LANES = 16;
// 1.5 * 2^23. Adding it to a number below 2^22 in magnitude leaves the nearest integer in the low bits.
const float ROUND = 12582912.0f;
const int ROUND_BITS = 0x4B400000;
// 2^-100. A block with a largest magnitude below this is quantised to zeros.
const float TINY = 7.888609052210118e-31f;
// The least finite number.
const float LEAST = -3.40282346638528859812e+38f;
// Upper bound of the total mass of a distribution.
const u32 TOTAL = 0x7fffffffu;

__device__ inline float add(float a, float b) { return __fadd_rn(a, b); }
__device__ inline float sub(float a, float b) { return __fadd_rn(a, -b); }
__device__ inline float mul(float a, float b) { return __fmul_rn(a, b); }
__device__ inline float div(float a, float b) { return __fdiv_rn(a, b); }

// b if either is NaN.
__device__ inline float larger(float a, float b) { return a > b ? a : b; }

// e^x for x clamped to -87..=88.
__device__ inline float exponential(float x) {
    x = x < -87.0f ? -87.0f : x;
    x = x > 88.0f ? 88.0f : x;
    x = mul(x, __uint_as_float(0x3FB8AA3Bu));
    float shifted = add(x, ROUND);
    float r = sub(x, sub(shifted, ROUND));
    float p = 0.009582853f;
    p = add(mul(p, r), 0.055906426f);
    p = add(mul(p, r), 0.24024099f);
    p = add(mul(p, r), 0.6931242f);
    p = add(mul(p, r), 1.0f);
    return __uint_as_float(__float_as_uint(p) + (__float_as_uint(shifted) << 23));
}

// x in 0..=1 in units of 2^-30, rounded down. NaN gives 0.
__device__ inline u32 fixed(float x) {
    u32 bits = __float_as_uint(x);
    u32 shift = 127u - (bits >> 23);
    return ((bits << 7 & 0x3fffff80u) | 0x40000000u) >> (shift < 31 ? shift : 31);
}

// Combines LANES partial sums in shared memory: the upper half with the lower until one is left. One thread calls it.
__device__ inline float fold(const float *partial) {
    float sums[LANES];
    for (u32 i = 0; i < LANES; i++) sums[i] = partial[i];
    for (u32 half = LANES / 2; half > 0; half /= 2)
        for (u32 i = 0; i < half; i++) sums[i] = add(sums[i], sums[i + half]);
    return sums[0];
}

// The integer product of a block's 32 quants as a float. |dot| is below 2^22, so that it fits in the low bits of ROUND.
__device__ inline float dot32(uint4 a0, uint4 a1, uint4 b0, uint4 b1) {
    int sum = ROUND_BITS;
    sum = __dp4a((int)a0.x, (int)b0.x, sum);
    sum = __dp4a((int)a0.y, (int)b0.y, sum);
    sum = __dp4a((int)a0.z, (int)b0.z, sum);
    sum = __dp4a((int)a0.w, (int)b0.w, sum);
    sum = __dp4a((int)a1.x, (int)b1.x, sum);
    sum = __dp4a((int)a1.y, (int)b1.y, sum);
    sum = __dp4a((int)a1.z, (int)b1.z, sum);
    sum = __dp4a((int)a1.w, (int)b1.w, sum);
    return sub(__uint_as_float((u32)sum), ROUND);
}

// The scale that maps a largest magnitude to 127, and its inverse.
struct Scale {
    float scale, inverse;
};

__device__ inline Scale scale_of(float largest) {
    Scale s = {0.0f, 0.0f};
    if (!(largest < TINY)) {
        s.scale = div(largest, 127.0f);
        s.inverse = div(127.0f, largest);
    }
    return s;
}

__device__ inline i8 quant_of(float value, float inverse) {
    return (i8)(__float_as_uint(add(mul(value, inverse), ROUND)) - (u32)ROUND_BITS);
}

// Quantises the 32 values that a warp's threads hold. All threads of the thread block call it the same number of times.
// Threads with `store` write.
__device__ inline void quantise_warp(float value, bool store, i8 *quant, float *scale) {
    float largest = larger(fabsf(value), 0.0f);
    for (u32 mask = 16; mask > 0; mask /= 2) largest = larger(largest, __shfl_xor_sync(0xffffffffu, largest, mask));
    Scale s = scale_of(largest);
    if (!store) return;
    *quant = quant_of(value, s.inverse);
    if (threadIdx.x % BLOCK == 0) *scale = s.scale;
}
