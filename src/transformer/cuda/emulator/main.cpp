// Runs the kernels on the CPU, for tests. Threads of a block are fibres that switch where they wait for each other.
//
// Reads commands from standard input and answers on standard output; numbers are 64-bit, little-endian:
//   a length                          allocates zeros; answers the address
//   f address                         frees
//   w address length bytes            writes
//   r address length                  reads; answers the bytes
//   l kernel columns rows count args  launches a grid of columns * rows blocks; answers 0
// Each allocation ends where a page begins that may not be touched, and so does the one before it: an access out of range
// ends the process. `emulator reverse` resumes the threads of a block from the last to the first, which gives other results
// if a kernel forgets to wait.
#include <csetjmp>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <cmath>
#include <map>
#include <utility>
#include <vector>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

// CUDA's names.
#define __device__
#define __global__
#define __shared__ static
struct uint4 { uint32_t x, y, z, w; };
struct uint3 { uint32_t x, y, z; };
static uint3 threadIdx, blockIdx;
static void __syncthreads();
static float __fadd_rn(float a, float b) { return a + b; }
static float __fmul_rn(float a, float b) { return a * b; }
static float __fdiv_rn(float a, float b) { return a / b; }
static float __fsqrt_rn(float a) { return std::sqrt(a); }
template <class To, class From> static To cast(From from) {
    static_assert(sizeof(To) == sizeof(From), "the same bits");
    To to;
    memcpy(&to, &from, sizeof to);
    return to;
}
static float __uint_as_float(uint32_t x) { return cast<float>(x); }
static uint32_t __float_as_uint(float x) { return cast<uint32_t>(x); }
static int __dp4a(int a, int b, int sum) {
    for (int i = 0; i < 4; i++) sum += (int)(int8_t)(a >> 8 * i) * (int)(int8_t)(b >> 8 * i);
    return sum;
}
// All threads of a block call it the same number of times, so that the block can wait instead of the warp.
static float __shfl_xor_sync(uint32_t, float value, uint32_t mask) {
    static float values[1024];
    uint32_t thread = threadIdx.x;
    values[thread] = value;
    __syncthreads();
    float other = values[thread ^ mask];
    __syncthreads();
    return other;
}

#include "../kernels.cu"

// A fibre runs `body` again and again.
struct Fibre {
    jmp_buf at;
    ucontext_t first;
    bool started = false, done = false;
};
static std::vector<Fibre> fibres(256);
static jmp_buf scheduler;
static uint32_t current;
static void (*body)(const uint64_t *);
static const uint64_t *arguments;

static void fibre() {
    for (;;) {
        body(arguments);
        Fibre &self = fibres[current];
        self.done = true;
        if (!_setjmp(self.at)) _longjmp(scheduler, 1);
    }
}

static void __syncthreads() {
    if (!_setjmp(fibres[current].at)) _longjmp(scheduler, 1);
}

static void resume(uint32_t thread) {
    const size_t STACK = 1 << 16;
    Fibre &next = fibres[thread];
    current = thread;
    threadIdx.x = thread;
    if (_setjmp(scheduler)) return;
    if (next.started) _longjmp(next.at, 1);
    next.started = true;
    getcontext(&next.first);
    next.first.uc_stack.ss_sp = malloc(STACK);
    next.first.uc_stack.ss_size = STACK;
    makecontext(&next.first, fibre, 0);
    setcontext(&next.first);
}

static void run_block(uint32_t threads, bool reverse) {
    for (uint32_t i = 0; i < threads; i++) fibres[i].done = false;
    for (bool left = true; left;) {
        left = false;
        uint32_t waiting = 0;
        for (uint32_t i = 0; i < threads; i++) {
            uint32_t thread = reverse ? threads - 1 - i : i;
            if (fibres[thread].done) continue;
            resume(thread);
            waiting += !fibres[thread].done;
        }
        left = waiting > 0;
        if (left && waiting < threads) {
            fprintf(stderr, "threads wait for others that have ended\n");
            abort();
        }
    }
}

template <class T> static T argument(uint64_t bits) {
    T value;
    memcpy(&value, &bits, sizeof value);
    return value;
}
template <auto kernel, class... A, size_t... I>
static void unpack(void (*)(A...), const uint64_t *args, std::index_sequence<I...>) {
    kernel(argument<A>(args[I])...);
}
template <class... A> constexpr size_t count_of(void (*)(A...)) { return sizeof...(A); }
template <auto kernel> static void call(const uint64_t *args) {
    unpack<kernel>(kernel, args, std::make_index_sequence<count_of(kernel)>());
}
struct Kernel {
    void (*call)(const uint64_t *);
    size_t arguments;
    uint32_t threads;
};
#define KERNEL(name, threads) {call<name>, count_of(name), threads}
// In the order of `Kernel` in device.rs.
static const Kernel kernels[] = {
    KERNEL(embed, EMBED_THREADS),   KERNEL(rms_norm, NORM_THREADS),     KERNEL(quantise, QUANTISE_THREADS),
    KERNEL(swiglu, QUANTISE_THREADS), KERNEL(copy, COPY_THREADS),   KERNEL(multiply, MULTIPLY_THREADS),
    KERNEL(rotate, ROTATE_THREADS), KERNEL(attend, ATTEND_THREADS), KERNEL(masses, MASSES_THREADS),
    KERNEL(scatter, SCATTER_THREADS),
};

static void get(void *to, size_t length) {
    if (length && fread(to, length, 1, stdin) != 1) exit(0);
}
static uint64_t number() {
    uint64_t value;
    get(&value, sizeof value);
    return value;
}
static void put(const void *from, size_t length) {
    if (length && fwrite(from, length, 1, stdout) != 1) exit(1);
}

int main(int argc, char **argv) {
    bool reverse = argc > 1 && !strcmp(argv[1], "reverse");
    std::map<uint64_t, std::pair<void *, size_t>> mappings;
    for (;;) {
        uint8_t command;
        get(&command, 1);
        if (command == 'a') {
            const size_t PAGE = sysconf(_SC_PAGESIZE);
            // Vectors of 16 bytes must be aligned.
            size_t length = (number() + 15) / 16 * 16;
            size_t pages = (length + PAGE - 1) / PAGE * PAGE, all = pages + 2 * PAGE;
            char *start = (char *)mmap(nullptr, all, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
            if (start == MAP_FAILED || mprotect(start + PAGE, pages, PROT_READ | PROT_WRITE)) abort();
            uint64_t address = (uint64_t)(start + PAGE + pages - length);
            mappings[address] = {start, all};
            put(&address, sizeof address);
        } else if (command == 'f') {
            auto mapping = mappings.find(number());
            if (mapping == mappings.end()) abort();
            munmap(mapping->second.first, mapping->second.second);
            mappings.erase(mapping);
        } else if (command == 'w') {
            void *to = (void *)number();
            get(to, number());
        } else if (command == 'r') {
            void *from = (void *)number();
            put(from, number());
        } else if (command == 'l') {
            const Kernel &kernel = kernels[number()];
            uint32_t columns = number(), rows = number();
            std::vector<uint64_t> args(number());
            get(args.data(), args.size() * sizeof(uint64_t));
            if (args.size() != kernel.arguments) {
                fprintf(stderr, "%zu arguments, not %zu\n", args.size(), kernel.arguments);
                abort();
            }
            body = kernel.call;
            arguments = args.data();
            for (blockIdx.y = 0; blockIdx.y < rows; blockIdx.y++)
                for (blockIdx.x = 0; blockIdx.x < columns; blockIdx.x++) run_block(kernel.threads, reverse);
            uint64_t done = 0;
            put(&done, sizeof done);
        } else {
            abort();
        }
        if (command != 'w' && command != 'f') fflush(stdout);
    }
}
