"""The Python half of the bridge: jaxlib's CPU client behind the few functions that bridge.c calls.

Arrays are jaxlib's own and live on its device. They come in and go out as raw bytes in row-major order, with the numbers that
pjrt_c_api.h has for their types. Everything is finished when a function returns, and an error is an exception.
"""

import ml_dtypes
import numpy as np
from jaxlib import _jax
from jaxlib import xla_client

# The numbers of PJRT_Buffer_Type, in order from 1 on.
_TYPES = [None, np.bool_, np.int8, np.int16, np.int32, np.int64, np.uint8, np.uint16, np.uint32, np.uint64,
          np.float16, np.float32, np.float64, ml_dtypes.bfloat16, np.complex64, np.complex128]
_NUMBERS = {np.dtype(t): k for k, t in enumerate(_TYPES) if t is not None}

# What jax adds to this class in Python; jaxlib asks for it when an array is put on a device.
xla_client.SingleDeviceSharding._to_xla_hlo_sharding = lambda self, rank: xla_client.HloSharding.replicate()

_client = xla_client.make_cpu_client(asynchronous=False, num_devices=1)
_device = _client.local_devices()[0]
_sharding = xla_client.SingleDeviceSharding(_device)


class _Abstract:
    """The shape and type of an array, as jaxlib asks for them."""

    weak_type = False

    def __init__(self, array):
        self.shape, self.dtype, self.ndim = array.shape, array.dtype, array.ndim


def describe():
    """Returns the platform, its version and a line about the device."""
    from jaxlib import version
    return _client.platform, f"jaxlib {version.__version__} by a bridge", f"{_device} of jaxlib {version.__version__}, by a bridge"


def compile(program, options):
    """Compiles StableHLO, as text or bytecode, with a serialized CompileOptionsProto.

    Returns the executable, its name, its number of outputs, and the bytes of its code, inputs, outputs, aliases and temporaries.
    """
    options = xla_client.CompileOptions.ParseFromString(options)
    if options.compile_portable_executable:  # jaxlib's other interface runs only what was compiled for a device
        options.compile_portable_executable = False
        options.device_assignment = xla_client.DeviceAssignment.create(np.array([[_device.id]]))
    executable = _client.compile_and_load(program, (_device,), options)
    stats = executable.get_compiled_memory_stats()
    return (executable, executable.hlo_modules()[0].name, len(executable.get_output_layouts()), (
        stats.generated_code_size_in_bytes, stats.argument_size_in_bytes, stats.output_size_in_bytes, stats.alias_size_in_bytes,
        stats.temp_size_in_bytes))


def execute(executable, arguments):
    """Returns the outputs as (array, type, dimensions)."""
    outputs = [shards[0] for shards in executable.execute_sharded(arguments).disassemble_into_single_device_arrays()]
    for array in outputs:
        array.block_until_ready()
    return [_described(array) for array in outputs]


def _described(array):
    value = _value(array)
    return array, _NUMBERS[value.dtype], value.shape


def _value(array):
    """A view of what is on the device, which is this machine's memory."""
    value, _ = array._single_device_array_to_np_array_did_copy()
    return value


def put(data, number, dims):
    """Copies bytes to the device, as an array of a type and dimensions."""
    if not 0 < number < len(_TYPES):
        raise ValueError(f"arrays of PJRT's type {number} are not known to the bridge")
    value = np.frombuffer(data, _TYPES[number]).reshape(dims)
    array = _jax.batched_device_put(_Abstract(value), _sharding, [value], [_device], True, True,
                                    xla_client.HostBufferSemantics.IMMUTABLE_ONLY_DURING_CALL, enable_x64=True)
    array.block_until_ready()
    return array


def get(array, data):
    """Copies an array from the device into bytes."""
    value = np.ascontiguousarray(_value(array)).reshape(-1).view(np.uint8)
    np.frombuffer(data, np.uint8)[:] = value


def size(array):
    return _value(array).nbytes


def pointer(array):
    return array.unsafe_buffer_pointer()
