// The transformer's forward pass. One launch evaluates all rows (tokens) of a batch; see docs/CUDA.md.
#include "arithmetic.cuh"

// Threads of a block, by kernel; `driver.rs` has the same numbers.
#define EMBED_THREADS 128
#define NORM_THREADS 128
#define MULTIPLY_THREADS 128
#define ROTATE_THREADS 64
#define ATTEND_THREADS 128
#define QUANTISE_THREADS 128
#define COPY_THREADS 128
#define MASSES_THREADS 256
#define SCATTER_THREADS 128

// Bounds that `weights.rs` checks.
#define MAX_WINDOW 8192
#define MAX_HEAD 256

// What a row is: `RowData` in `job.rs` is the same.
struct Row {
    // Row of the embedding.
    u32 token;
    // The session in this batch, and its lane.
    u32 session, lane;
    // The place of its key and value in the lane's window.
    u32 place;
    // Places that it may see, but for the hidden ones; and the hidden ones, from one place to before another around the ring behind place 0.
    u32 len, hidden_from, hidden_to;
    // Whether the window has moved: then the first place is asked by the sink query.
    u32 moved;
};

// The shape of attention, the same for all layers.
struct Shape {
    u32 heads, kv_heads, dim;
    // Elements of a head filled up to whole blocks, and places of a window likewise.
    u32 padded;
    u32 layers;
    // 1 / sqrt(dim)
    float query_scale;
};

// A session's caches. They have for each lane, layer and key head: keys [place][element] with a scale for each block, values
// [element][place] with a scale for each place.
struct Cache {
    i8 *keys;
    float *key_scales;
    i8 *values;
    float *value_scales;
    // The angles of the sink query.
    const float *sink_cos, *sink_sin;
    // Places of a window filled up to whole blocks.
    u64 places;
};

// A session's own copy of a matrix.
struct Matrix {
    const uint4 *quants;
    const float *scales;
};

// Rows `first` to `end` - 1, at most TILE_ROWS, are of one session.
struct Tile {
    u32 first, end, session;
};

// x[row] = the embedding of its token. One block for each row.
extern "C" __global__ void embed(const Row *rows, const i8 *quants, const float *scales, float *x, u32 hidden) {
    u64 token = rows[blockIdx.x].token;
    for (u32 i = threadIdx.x; i < hidden; i += EMBED_THREADS)
        x[(u64)blockIdx.x * hidden + i] = mul((float)quants[token * hidden + i], scales[(token * hidden + i) / BLOCK]);
}

// RMS norm of row `order[block]` of x, and the result quantised. One block for each row.
extern "C" __global__ void rms_norm(const u32 *order, const float *x, const float *weights, float eps, u32 hidden,
                                    float *normed, i8 *quants, float *scales) {
    __shared__ float partial[LANES];
    __shared__ float factor;
    x += (u64)order[blockIdx.x] * hidden;
    u64 to = (u64)blockIdx.x * hidden;
    if (threadIdx.x < LANES) {
        float sum = 0.0f;
        for (u32 i = threadIdx.x; i < hidden; i += LANES) sum = add(sum, mul(x[i], x[i]));
        partial[threadIdx.x] = sum;
    }
    __syncthreads();
    if (threadIdx.x == 0) factor = div(1.0f, __fsqrt_rn(add(div(fold(partial), (float)hidden), eps)));
    __syncthreads();
    for (u32 base = 0; base < hidden; base += NORM_THREADS) {
        u32 i = base + threadIdx.x;
        bool inside = i < hidden;
        float y = inside ? mul(mul(x[i], factor), weights[i]) : 0.0f;
        if (inside) normed[to + i] = y;
        quantise_warp(y, inside, quants + to + i, scales + (to + i) / BLOCK);
    }
}

// Quantises `count` values, a multiple of 32.
extern "C" __global__ void quantise(const float *values, u32 count, i8 *quants, float *scales) {
    u32 i = blockIdx.x * QUANTISE_THREADS + threadIdx.x;
    bool inside = i < count;
    quantise_warp(inside ? values[i] : 0.0f, inside, quants + i, scales + i / BLOCK);
}

// SwiGLU of rows of `inner` gates and as many ups, filled up with zeros to `width`, and quantised.
extern "C" __global__ void swiglu(const float *both, u32 inner, u32 width, u32 count, i8 *quants, float *scales) {
    u32 i = blockIdx.x * QUANTISE_THREADS + threadIdx.x;
    bool inside = i < count;
    u32 row = i / width, column = i % width;
    float value = 0.0f;
    if (inside && column < inner) {
        const float *gates = both + (u64)row * 2 * inner;
        float gate = gates[column];
        value = mul(div(gate, add(1.0f, exponential(-gate))), gates[inner + column]);
    }
    quantise_warp(value, inside, quants + i, scales + i / BLOCK);
}

// Copies row `order[block]` of x to `to`, whose rows are `stride` apart. One block for each row.
extern "C" __global__ void copy(const u32 *order, const float *x, u32 count, float *to, u32 stride) {
    x += (u64)order[blockIdx.x] * count;
    to += (u64)blockIdx.x * stride;
    for (u32 i = threadIdx.x; i < count; i += COPY_THREADS) to[i] = x[i];
}

// The product of a matrix of `outputs` rows of `blocks` blocks with `rows` vectors. `sum` says whether it is added to `out`.
// If there are `tiles`, each row is multiplied by the matrix that its session has in `own`.
//
// A thread block makes 32 outputs of 16 rows; each thread one output of 4 rows. Blocks of 32 quants go through shared memory
// four at a time; the next four are on their way while the last ones are multiplied.
#define TILE_OUTPUTS 32
#define TILE_ROWS 16
#define TILE_BLOCKS 4
#define THREAD_ROWS 4

// What a thread fetches of the next blocks: parts of two rows of the matrix and of one vector, and scales.
struct Fetched {
    uint4 weights[2], input;
    float weight_scale, input_scale;
};

// What is to be multiplied, from the thread block's first output and row on.
struct Operands {
    const uint4 *weights;
    const float *weight_scales;
    const uint4 *inputs;
    const float *input_scales;
    // Rows of either that there are, and blocks of a row.
    u32 outputs, rows, blocks;
};

__device__ inline Fetched fetch(const Operands &from, u32 done) {
    Fetched f;
    uint4 zero = {0, 0, 0, 0};
    u32 row = threadIdx.x / (2 * TILE_BLOCKS), part = threadIdx.x % (2 * TILE_BLOCKS);
    bool block = done + part / 2 < from.blocks;
    u64 at = ((u64)row * from.blocks + done) * 2 + part;
    u64 half = (u64)TILE_OUTPUTS / 2 * from.blocks * 2;
    f.weights[0] = block && row < from.outputs ? from.weights[at] : zero;
    f.weights[1] = block && row + TILE_OUTPUTS / 2 < from.outputs ? from.weights[at + half] : zero;
    f.input = block && row < from.rows ? from.inputs[at] : zero;
    row = threadIdx.x / TILE_BLOCKS;
    block = done + threadIdx.x % TILE_BLOCKS < from.blocks;
    at = (u64)row * from.blocks + done + threadIdx.x % TILE_BLOCKS;
    f.weight_scale = block && row < from.outputs ? from.weight_scales[at] : 0.0f;
    f.input_scale = block && row < TILE_ROWS && row < from.rows ? from.input_scales[at] : 0.0f;
    return f;
}

extern "C" __global__ void multiply(const uint4 *weights, const float *weight_scales, const uint4 *inputs,
                                    const float *input_scales, float *out, u32 outputs, u32 blocks, u32 rows, u32 sum,
                                    const Tile *tiles, const Matrix *own) {
    // One column more than there is data: neighbouring outputs are then in different banks.
    __shared__ uint4 weight_tile[TILE_OUTPUTS][2 * TILE_BLOCKS + 1];
    __shared__ uint4 input_tile[TILE_ROWS][2 * TILE_BLOCKS];
    __shared__ float weight_scale_tile[TILE_OUTPUTS][TILE_BLOCKS + 1];
    __shared__ float input_scale_tile[TILE_ROWS][TILE_BLOCKS];
    u32 first_output = blockIdx.x * TILE_OUTPUTS, first_row = blockIdx.y * TILE_ROWS;
    if (tiles) {
        Tile tile = tiles[blockIdx.y];
        first_row = tile.first;
        rows = tile.end;
        weights = own[tile.session].quants;
        weight_scales = own[tile.session].scales;
    }
    u64 first_weight = (u64)first_output * blocks, first_input = (u64)first_row * blocks;
    Operands from = {weights + 2 * first_weight, weight_scales + first_weight, inputs + 2 * first_input,
                     input_scales + first_input, outputs - first_output, rows - first_row, blocks};
    u32 thread = threadIdx.x, output = thread % TILE_OUTPUTS, group = thread / TILE_OUTPUTS * THREAD_ROWS;
    float sums[THREAD_ROWS] = {0.0f, 0.0f, 0.0f, 0.0f};
    Fetched next = fetch(from, 0);
    for (u32 done = 0; done < blocks; done += TILE_BLOCKS) {
        u32 row = thread / (2 * TILE_BLOCKS), part = thread % (2 * TILE_BLOCKS);
        weight_tile[row][part] = next.weights[0];
        weight_tile[row + TILE_OUTPUTS / 2][part] = next.weights[1];
        input_tile[row][part] = next.input;
        row = thread / TILE_BLOCKS;
        weight_scale_tile[row][thread % TILE_BLOCKS] = next.weight_scale;
        if (row < TILE_ROWS) input_scale_tile[row][thread % TILE_BLOCKS] = next.input_scale;
        __syncthreads();
        if (done + TILE_BLOCKS < blocks) next = fetch(from, done + TILE_BLOCKS);
        u32 count = blocks - done < TILE_BLOCKS ? blocks - done : TILE_BLOCKS;
        for (u32 j = 0; j < count; j++) {
            float scale = weight_scale_tile[output][j];
            uint4 a0 = weight_tile[output][2 * j], a1 = weight_tile[output][2 * j + 1];
            for (u32 r = 0; r < THREAD_ROWS; r++) {
                const uint4 *input = &input_tile[group + r][2 * j];
                float dot = dot32(a0, a1, input[0], input[1]);
                sums[r] = add(sums[r], mul(dot, mul(scale, input_scale_tile[group + r][j])));
            }
        }
        __syncthreads();
    }
    for (u32 r = 0; r < THREAD_ROWS; r++) {
        if (group + r < from.rows && output < from.outputs) {
            float *to = out + (u64)(first_row + group + r) * outputs + first_output + output;
            *to = sum ? add(*to, sums[r]) : sums[r];
        }
    }
}

// Element i of a head rotated by the angles of a position.
__device__ inline float rotated(const float *head, const float *cos, const float *sin, u32 i, u32 dim) {
    u32 half = dim / 2;
    if (i >= dim) return 0.0f;
    if (i < half) return sub(mul(head[i], cos[i]), mul(head[i + half], sin[i]));
    return add(mul(head[i], cos[i - half]), mul(head[i - half], sin[i - half]));
}

// Rotates and quantises a row's queries and keys, quantises its values, and puts keys and values in the lane's cache and in
// `log_quants`/`log_scales`, from which the CPU can rebuild the cache. One block for each row and each head of q, k and v. A
// row of the log has for each layer and key head: the key, the value; the key's scales, the value's.
extern "C" __global__ void rotate(const Row *rows, const Shape *shape, u32 layer, const float *qkv, const float *cos,
                                  const float *sin, i8 *queries, float *query_scales, i8 *sink_queries,
                                  float *sink_query_scales, const Cache *caches, i8 *log_quants, float *log_scales) {
    __shared__ float largest[ROTATE_THREADS];
    const Cache *cache = caches + rows[blockIdx.x].session;
    u32 heads = shape->heads, kv_heads = shape->kv_heads, dim = shape->dim, padded = shape->padded;
    u32 blocks = padded / BLOCK, row = blockIdx.x, head = blockIdx.y;
    const float *from = qkv + ((u64)row * (heads + 2 * kv_heads) + head) * dim;
    cos += (u64)row * (dim / 2);
    sin += (u64)row * (dim / 2);
    if (head < heads) {
        u64 at = ((u64)row * heads + head) * padded;
        u32 passes = rows[row].moved ? 2 : 1;
        for (u32 pass = 0; pass < passes; pass++) {
            i8 *quants = (pass ? sink_queries : queries) + at;
            float *scales = (pass ? sink_query_scales : query_scales) + at / BLOCK;
            for (u32 base = 0; base < padded; base += ROTATE_THREADS) {
                u32 i = base + threadIdx.x;
                bool inside = i < padded;
                float value = inside ? rotated(from, pass ? cache->sink_cos : cos, pass ? cache->sink_sin : sin, i, dim) : 0.0f;
                float scale = 0.0f;
                quantise_warp(value, inside, quants + i, &scale);
                if (inside && i % BLOCK == 0) scales[i / BLOCK] = mul(scale, shape->query_scale);
            }
        }
        return;
    }
    u32 place = rows[row].place, kv = (head - heads) % kv_heads;
    u64 cached = ((u64)rows[row].lane * shape->layers + layer) * kv_heads + kv;
    u64 logged = ((u64)row * shape->layers + layer) * kv_heads + kv;
    if (head < heads + kv_heads) {
        i8 *key = cache->keys + (cached * cache->places + place) * padded;
        float *scales = cache->key_scales + (cached * cache->places + place) * blocks;
        for (u32 base = 0; base < padded; base += ROTATE_THREADS) {
            u32 i = base + threadIdx.x;
            bool inside = i < padded;
            float value = inside ? rotated(from, cos, sin, i, dim) : 0.0f;
            quantise_warp(value, inside, key + i, scales + i / BLOCK);
            if (inside) log_quants[logged * 2 * padded + i] = key[i];
            if (inside && i % BLOCK == 0) log_scales[logged * (blocks + 1) + i / BLOCK] = scales[i / BLOCK];
        }
        return;
    }
    float best = 0.0f;
    for (u32 i = threadIdx.x; i < dim; i += ROTATE_THREADS) best = larger(best, fabsf(from[i]));
    largest[threadIdx.x] = best;
    for (u32 half = ROTATE_THREADS / 2; half > 0; half /= 2) {
        __syncthreads();
        if (threadIdx.x < half) largest[threadIdx.x] = larger(largest[threadIdx.x], largest[threadIdx.x + half]);
    }
    __syncthreads();
    Scale s = scale_of(largest[0]);
    for (u32 i = threadIdx.x; i < padded; i += ROTATE_THREADS) {
        i8 quant = i < dim ? quant_of(from[i], s.inverse) : 0;
        cache->values[(cached * padded + i) * cache->places + place] = quant;
        log_quants[logged * 2 * padded + padded + i] = quant;
    }
    if (threadIdx.x == 0) {
        cache->value_scales[cached * cache->places + place] = s.scale;
        log_scales[logged * (blocks + 1) + blocks] = s.scale;
    }
}

__device__ inline bool is_hidden(const Row &row, u32 place) {
    bool behind = place >= row.hidden_from, before = place < row.hidden_to;
    return row.hidden_from < row.hidden_to ? behind && before : place > 0 && (behind || before);
}

// Attention of one query over its lane's window. One block for each row and query head. Rows of `out` are `width` apart.
extern "C" __global__ void attend(const Row *rows, const Shape *shape, u32 layer, const i8 *queries,
                                  const float *query_scales, const i8 *sink_queries, const float *sink_query_scales,
                                  const Cache *caches, float *out, u32 width) {
    __shared__ float scores[MAX_WINDOW];
    __shared__ uint4 weights[MAX_WINDOW / 16];
    __shared__ float weight_scales[MAX_WINDOW / BLOCK];
    __shared__ float partial[ATTEND_THREADS];
    __shared__ uint4 query[MAX_HEAD / 16], sink_query[MAX_HEAD / 16];
    Row row = rows[blockIdx.x];
    Cache cache = caches[row.session];
    u32 head = blockIdx.y, dim = shape->dim, padded = shape->padded, blocks = padded / BLOCK;
    u32 kv = head / (shape->heads / shape->kv_heads);
    u64 cached = ((u64)row.lane * shape->layers + layer) * shape->kv_heads + kv;
    u64 asked = (u64)blockIdx.x * shape->heads + head;
    const uint4 *head_keys = (const uint4 *)(cache.keys + cached * cache.places * padded);
    const float *key_scales = cache.key_scales + cached * cache.places * blocks;
    const float *value_scales = cache.value_scales + cached * cache.places;
    query_scales += asked * blocks;
    sink_query_scales += asked * blocks;
    for (u32 i = threadIdx.x; i < padded / 16; i += ATTEND_THREADS) {
        query[i] = ((const uint4 *)(queries + asked * padded))[i];
        if (row.moved) sink_query[i] = ((const uint4 *)(sink_queries + asked * padded))[i];
    }
    __syncthreads();

    u32 places = (row.len + BLOCK - 1) / BLOCK * BLOCK;
    float top = LEAST;
    for (u32 place = threadIdx.x; place < places; place += ATTEND_THREADS) {
        float score = LEAST;
        if (place < row.len && !is_hidden(row, place)) {
            bool sink = row.moved && place == 0;
            const float *scales = sink ? sink_query_scales : query_scales;
            score = 0.0f;
            for (u32 block = 0; block < blocks; block++) {
                const uint4 *key = head_keys + ((u64)place * blocks + block) * 2;
                const uint4 *asking = (sink ? sink_query : query) + 2 * block;
                float dot = dot32(key[0], key[1], asking[0], asking[1]);
                score = add(score, mul(dot, mul(key_scales[(u64)place * blocks + block], scales[block])));
            }
        }
        scores[place] = score;
        top = larger(top, score);
    }
    partial[threadIdx.x] = top;
    for (u32 half = ATTEND_THREADS / 2; half > 0; half /= 2) {
        __syncthreads();
        if (threadIdx.x < half) partial[threadIdx.x] = larger(partial[threadIdx.x], partial[threadIdx.x + half]);
    }
    __syncthreads();
    top = partial[0];

    for (u32 base = 0; base < places; base += ATTEND_THREADS) {
        u32 place = base + threadIdx.x;
        bool inside = place < places;
        float weight = 0.0f;
        if (inside) {
            float below = sub(scores[place], top);
            float e = exponential(below);
            e = below < -87.0f ? 0.0f : e;
            scores[place] = e;
            weight = mul(e, value_scales[place]);
        }
        quantise_warp(weight, inside, (i8 *)weights + place, weight_scales + place / BLOCK);
    }
    __syncthreads();
    if (threadIdx.x < LANES) {
        float sum = 0.0f;
        for (u32 place = threadIdx.x; place < places; place += LANES) sum = add(sum, scores[place]);
        partial[threadIdx.x] = sum;
    }
    __syncthreads();
    float factor = div(1.0f, fold(partial));
    for (u32 i = threadIdx.x; i < dim; i += ATTEND_THREADS) {
        const uint4 *value = (const uint4 *)(cache.values + (cached * padded + i) * cache.places);
        float sum = 0.0f;
        for (u32 block = 0; block < places / BLOCK; block++) {
            const uint4 *a = value + 2 * block, *b = weights + 2 * block;
            sum = add(sum, mul(dot32(a[0], a[1], b[0], b[1]), weight_scales[block]));
        }
        out[(u64)blockIdx.x * width + head * dim + i] = mul(sum, factor);
    }
}

// An output that a gradient step counts.
struct Likely {
    u32 output, mass;
};

// Outputs of less than one in this many of all mass do not count.
#define NEGLIGIBLE 4096
// Entries of a row's list, the first of which has the number of outputs that count, and all mass.
#define LIST 256

// Softmax as cumulative integer masses: entry i of a row's `count + 1` is the mass of the tokens before i. One block for each
// row. Each thread has a run of consecutive tokens. `likely` lists for each row the outputs that count, in order, as far as
// there is room.
extern "C" __global__ void masses(const float *logits, u32 count, u32 *table, Likely *likely) {
    __shared__ float tops[MASSES_THREADS];
    __shared__ u64 sums[MASSES_THREADS];
    __shared__ u32 runs[2][MASSES_THREADS];
    u32 thread = threadIdx.x;
    logits += (u64)blockIdx.x * count;
    table += (u64)blockIdx.x * (count + 1);
    float top = LEAST;
    for (u32 i = thread; i < count; i += MASSES_THREADS) top = larger(top, logits[i]);
    tops[thread] = top;
    for (u32 half = MASSES_THREADS / 2; half > 0; half /= 2) {
        __syncthreads();
        if (thread < half) tops[thread] = larger(tops[thread], tops[thread + half]);
    }
    __syncthreads();
    top = tops[0];
    u64 sum = 0;
    for (u32 i = thread; i < count; i += MASSES_THREADS) {
        u32 mass = fixed(exponential(sub(logits[i], top)));
        table[i + 1] = mass;
        sum += mass;
    }
    sums[thread] = sum;
    for (u32 half = MASSES_THREADS / 2; half > 0; half /= 2) {
        __syncthreads();
        if (thread < half) sums[thread] += sums[thread + half];
    }
    __syncthreads();
    u64 all = sums[0] > (1ull << 30) ? sums[0] : 1ull << 30;
    u32 factor = (u32)(((u64)(TOTAL - count) << 31) / all);

    u32 length = (count + MASSES_THREADS - 1) / MASSES_THREADS;
    u32 begin = thread * length < count ? thread * length : count;
    u32 end = begin + length < count ? begin + length : count;
    u32 running = 0;
    for (u32 i = begin; i < end; i++) running += 1 + (u32)(((u64)table[i + 1] * factor) >> 31);
    runs[0][thread] = running;
    u32 side = 0;
    for (u32 by = 1; by < MASSES_THREADS; by *= 2) {
        __syncthreads();
        runs[!side][thread] = runs[side][thread] + (thread >= by ? runs[side][thread - by] : 0);
        side = !side;
    }
    __syncthreads();
    running = thread > 0 ? runs[side][thread - 1] : 0;
    u32 total = runs[side][MASSES_THREADS - 1], least = total / NEGLIGIBLE;
    if (thread == 0) table[0] = 0;
    u32 own = 0, start = running;
    for (u32 i = begin; i < end; i++) {
        u32 mass = 1 + (u32)(((u64)table[i + 1] * factor) >> 31);
        own += mass >= least;
        running += mass;
        table[i + 1] = running;
    }
    __syncthreads();
    runs[0][thread] = own;
    side = 0;
    for (u32 by = 1; by < MASSES_THREADS; by *= 2) {
        __syncthreads();
        runs[!side][thread] = runs[side][thread] + (thread >= by ? runs[side][thread - by] : 0);
        side = !side;
    }
    __syncthreads();
    likely += (u64)blockIdx.x * LIST;
    if (thread == 0) likely[0] = {runs[side][MASSES_THREADS - 1], total};
    u32 at = thread > 0 ? 1 + runs[side][thread - 1] : 1;
    for (u32 i = begin; i < end && at < LIST; i++) {
        u32 mass = table[i + 1] - start;
        start = table[i + 1];
        if (mass < least) continue;
        likely[at++] = {i, mass};
    }
}

// Replaces the rows `order` of a matrix of rows of `blocks` blocks. One block for each row.
extern "C" __global__ void scatter(const u32 *order, const uint4 *new_quants, const float *new_scales, u32 blocks,
                                   uint4 *quants, float *scales) {
    u64 from = (u64)blockIdx.x * blocks, to = (u64)order[blockIdx.x] * blocks;
    for (u32 i = threadIdx.x; i < 2 * blocks; i += SCATTER_THREADS) quants[2 * to + i] = new_quants[2 * from + i];
    for (u32 i = threadIdx.x; i < blocks; i += SCATTER_THREADS) scales[to + i] = new_scales[from + i];
}
