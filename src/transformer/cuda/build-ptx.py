#!/usr/bin/env python3
"""Compiles kernels.cu to kernels.ptx, assembles it for some GPUs, and reports what each kernel needs.

    pip install nvidia-cuda-nvrtc-cu12==12.9.86 nvidia-cuda-nvcc-cu12==12.9.86
    build-ptx.py           writes kernels.ptx
    build-ptx.py --check   fails unless kernels.ptx is what the source compiles to

Needs no GPU. Both fail if the PTX has an operation that docs/ARITHMETIC.md doesn't allow, or if ptxas refuses it.
"""

import ctypes
import pathlib
import re
import subprocess
import sys
import tempfile

import nvidia.cuda_nvcc
import nvidia.cuda_nvrtc

FOLDER = pathlib.Path(__file__).resolve().parent
PTX = FOLDER / "kernels.ptx"
# Turing, which is the oldest that the kernels are for; Ampere, Ada, Hopper, Blackwell.
ARCHITECTURES = ["sm_75", "sm_80", "sm_89", "sm_90", "sm_120"]
# The oldest PTX that has what the kernels use: so any driver from CUDA 11.0 (450) on loads it.
PTX_VERSION = "7.0"
FORBIDDEN = re.compile(r"\bfma\.|\bmad\.(?:rn|rz|rm|rp|f|ftz)|\.approx|\.ftz|\.full|\.f64|\bred\.|\batom\.")


def compile_ptx() -> str:
    nvrtc = ctypes.CDLL(str(pathlib.Path(list(nvidia.cuda_nvrtc.__path__)[0]) / "lib" / "libnvrtc.so.12"))

    def check(status: int) -> None:
        if status:
            nvrtc.nvrtcGetErrorString.restype = ctypes.c_char_p
            raise SystemExit(nvrtc.nvrtcGetErrorString(status).decode())

    def text(length_of, get) -> str:
        length = ctypes.c_size_t()
        check(length_of(program, ctypes.byref(length)))
        buffer = ctypes.create_string_buffer(length.value)
        check(get(program, buffer))
        return buffer.value.decode()

    program = ctypes.c_void_p()
    sources = [(FOLDER / name).read_bytes() for name in ("kernels.cu", "arithmetic.cuh")]
    headers = (ctypes.c_char_p * 1)(sources[1])
    names = (ctypes.c_char_p * 1)(b"arithmetic.cuh")
    check(nvrtc.nvrtcCreateProgram(ctypes.byref(program), sources[0], b"kernels.cu", 1, headers, names))
    options = [b"--gpu-architecture=compute_75", b"--fmad=false", b"--ftz=false", b"--prec-div=true", b"--prec-sqrt=true"]
    status = nvrtc.nvrtcCompileProgram(program, len(options), (ctypes.c_char_p * len(options))(*options))
    if status:
        raise SystemExit(text(nvrtc.nvrtcGetProgramLogSize, nvrtc.nvrtcGetProgramLog))
    ptx = text(nvrtc.nvrtcGetPTXSize, nvrtc.nvrtcGetPTX)
    # Comments name the compiler's build.
    ptx = re.sub(r"^//.*\n", "", ptx, flags=re.M)
    return re.sub(r"^\.version .*$", f".version {PTX_VERSION}", ptx.strip(), flags=re.M) + "\n"


def assemble(ptx: str) -> None:
    ptxas = pathlib.Path(list(nvidia.cuda_nvcc.__path__)[0]) / "bin" / "ptxas"
    with tempfile.TemporaryDirectory() as folder:
        source = pathlib.Path(folder) / "kernels.ptx"
        source.write_text(ptx)
        for architecture in ARCHITECTURES:
            command = [ptxas, "-v", f"-arch={architecture}", source, "-o", pathlib.Path(folder) / "kernels.cubin"]
            result = subprocess.run(command, capture_output=True, text=True)
            if result.returncode:
                raise SystemExit(f"{architecture}: {result.stderr}")
            report = re.findall(
                r"entry function '(\w+)'.*?(\d+) bytes spill stores.*?Used (\d+) registers(.*?)$",
                result.stderr,
                flags=re.S | re.M,
            )
            for name, spills, registers, rest in report:
                shared = re.search(r"(\d+) bytes smem", rest)
                shared = shared.group(1) if shared else "0"
                print(f"{architecture:8} {name:10} {registers:>4} registers {shared:>6} bytes shared {spills:>3} spilled")


def main() -> None:
    ptx = compile_ptx()
    forbidden = sorted({match.group() for match in FORBIDDEN.finditer(ptx)})
    if forbidden:
        raise SystemExit(f"the PTX has {', '.join(forbidden)}")
    assemble(ptx)
    if sys.argv[1:] == ["--check"]:
        if PTX.read_text() != ptx:
            raise SystemExit("kernels.ptx is not what the source compiles to; run build-ptx.py")
    else:
        PTX.write_text(ptx)


main()
