"""A GPU that nobody has: tensors that say they lie on cuda:0, and compute on the processor.

What a GPU refuses is refused: tensors of two devices in one operation, NumPy, a generator of the processor.
What would let the processor wait for it is written down. For a process of its own, before any gradient.
"""
import traceback
from unittest.mock import patch

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map_only

GPU = torch.device('cuda:0')
aten = torch.ops.aten
WAITING = {aten._local_scalar_dense.default, aten.nonzero.default, aten.masked_select.default,
           aten.equal.default, aten._unique2.default, aten.repeat_interleave.Tensor}
INDEXING = {aten.index.Tensor, aten.index_put_.default, aten.index_put.default, aten._index_put_impl_.default}
waits = [] # (operation, line of ours that asked for it), in their order
leaving = [] # while a tensor is asked to leave the GPU

class There(torch.Tensor):
    """A tensor that says it lies on the GPU. What it would hold there is `kept`, which only `computed` sees.

    For PyTorch below Python it is one of the processor: its gradients need no driver of a GPU.
    """
    device, is_cuda, is_cpu = GPU, True, False

    @staticmethod
    def __new__(cls, kept: Tensor):
        made = torch.Tensor._make_wrapper_subclass(cls, kept.shape, strides=kept.stride(), dtype=kept.dtype,
                                                   storage_offset=kept.storage_offset())
        made.kept = kept
        return made

    @classmethod
    def __torch_function__(cls, function, types, args=(), named=None):
        named = named or {}
        with torch._C.DisableTorchFunctionSubclass():
            return moved(function, args, named) if function in MOVING else function(*args, **named)

    @classmethod
    def __torch_dispatch__(cls, function, types, args=(), named=None):
        return computed(function, args, named or {})

    def new_tensor(self, data, **how): return torch.tensor(data, dtype=self.dtype, device=GPU)

    def storage(self): raise NotImplementedError # so that safetensors takes it for unshared

    def tolist(self): return self.cpu().tolist()

    def numpy(self, *_, **__):
        raise TypeError("can't convert cuda:0 device type tensor to numpy. Use Tensor.cpu() first")
    __array__ = numpy

    def __deepcopy__(self, known: dict):
        twin = There(self.kept.clone()).requires_grad_(self.requires_grad)
        twin._is_param = getattr(self, '_is_param', False)
        return known.setdefault(id(self), twin)

    def __tensor_flatten__(self): return ['kept'], None # with it, modules swap their parameters

    @staticmethod
    def __tensor_unflatten__(inner, context, size, stride): return There(inner['kept'])

    def __repr__(self): return f'There({self.kept!r})'

MOVING = torch.Tensor.to, torch.Tensor.cpu, torch.Tensor.cuda

def moved(function, args: tuple, named: dict) -> Tensor:
    "A tensor where it is asked for, if one of those concerned lies on the GPU."
    x, *how = args
    if function is not torch.Tensor.to:
        how, named = ['cpu' if function is torch.Tensor.cpu else GPU], {}
    if how and isinstance(how[0], Tensor):
        device, kind, layout = how[0].device, how[0].dtype, None
    else:
        told = {key: value for key, value in named.items() if key != 'copy'}
        device, kind, _, layout = torch._C._nn._parse_to(*how, **told)
    device = torch.device(device or x.device).type
    if device == x.device.type and not named.get('copy') and kind in (None, x.dtype) and layout is None:
        return x
    how = dict(dtype=kind, memory_format=layout)
    if device == 'cuda':
        return aten._to_copy(x, device=GPU, **how)
    leaving.append(True)
    try:
        return aten._to_copy(x, device='cpu', **how)
    finally:
        leaving.clear()

class Made(TorchDispatchMode):
    "Sees operations whose arguments lie nowhere, or on the processor."
    def __torch_dispatch__(self, function, types, args=(), named=None):
        return computed(function, args, named or {})

def asked_by() -> str:
    "The line of the package that is being computed."
    lines = [f'{f.filename.rpartition("encgan3/")[2]}: {f.line}' for f in traceback.extract_stack()
             if 'encgan3/' in f.filename]
    return lines[-1] if lines else ''

def refuse_mixed(function, args, there: list, here: list):
    "RuntimeError as of a GPU, unless this operation takes tensors of both devices."
    if function in INDEXING and isinstance(args[0], There): # indices may lie on the processor
        here = [x for x in here if not any(x is i for i in args[1])]
    if torch.Tag.pointwise in function.tags: # and so may single numbers
        here = [x for x in here if x.ndim]
    if there and here:
        raise RuntimeError(f'Expected all tensors to be on the same device, but found cuda:0 and cpu in '
                           f'{function}')

def computed(function, args: tuple, named: dict):
    "What an operation gives: on the GPU if its tensors lie there, or if it is told to."
    leaves = tree_leaves((args, named))
    there = [x for x in leaves if isinstance(x, There)]
    here = [x for x in leaves if isinstance(x, Tensor) and not isinstance(x, There)]
    told, moving = named.get('device'), function is aten._to_copy.default
    # PyTorch itself takes There for a tensor of the processor, and asks for more such in gradients
    to_gpu = (torch.device(told or 'cpu').type == 'cuda' or bool(there) and not leaving
              or told is not None and torch._C._current_autograd_node() is not None)
    copying = function is aten.copy_.default
    if copying:
        to_gpu = isinstance(args[0], There)
    if not moving and not copying:
        refuse_mixed(function, args, there, here)
    if to_gpu and any(isinstance(x, torch.Generator) for x in leaves):
        raise RuntimeError(f"Expected a 'cuda' device type for generator but found 'cpu' in {function}")
    if there and (function in WAITING or (moving or copying) and not to_gpu
                  or function in INDEXING and any(i is not None and i.dtype == torch.bool for i in args[1])):
        waits.append((str(function), asked_by()))
    known = {id(x.kept): x for x in there}
    args, named = tree_map_only(There, lambda x: x.kept, (args, named))
    if told is not None:
        named = named | {'device': torch.device('cpu')}
    found = function(*args, **named)
    if not to_gpu:
        return found
    return tree_map_only(Tensor, lambda x: known[id(x)] if id(x) in known else There(x), found)

def given_a_gpu():
    "From now on this process has one."
    told = {'is_available': True, 'device_count': 1, 'current_device': 0, '_lazy_init': None,
            'set_device': None, 'synchronize': None, 'get_device_name': 'a GPU that nobody has',
            'mem_get_info': (10**11, 10**11), 'max_memory_allocated': 0, 'reset_peak_memory_stats': None,
            'is_current_stream_capturing': False}
    for name, value in told.items():
        patch.object(torch.cuda, name, lambda *_, value=value, **__: value).start()
    autocast = torch.autocast
    patch.object(torch, 'autocast', lambda device, *how, **named: autocast('cpu', *how, **named)).start()
    torch._C._ensureCUDADeviceGuardSet() # no driver is asked
    torch._C._set_only_lift_cpu_tensors(True) # torch.tensor(..., device='cuda') goes through Made
    Made().__enter__()
