// A PJRT plugin that hands everything to jaxlib's CPU client, through an embedded Python: XLA for machines without a GPU, where
// there is jaxlib and no plugin. It has the functions of pjrt_c_api.h that go-xla calls; the others answer with an error.
//
// Every call is finished when it returns, so all events are one, and complete. Python is entered under its lock (PyGILState),
// from whatever thread; jaxlib gives the lock up while it compiles and computes. bridge.py does the work.

#define PY_SSIZE_T_CLEAN
#define _GNU_SOURCE
#include <Python.h>
#include <dlfcn.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "pjrt_c_api.h"

struct PJRT_Error {
  PJRT_Error_Code code;
  char message[];
};

struct PJRT_Client {
  char platform[64], version[128], device[256];
};

// A buffer that is a view of memory of the caller's has no array of its own before it is used: the memory may be written until then.
struct PJRT_Buffer {
  PyObject* array;
  void* view;
  int type;
  size_t num_dims, size;
  int64_t dims[];
};

struct PJRT_LoadedExecutable {
  PyObject* executable;
  char name[256];
  size_t num_outputs;
  int64_t stats[5];
};

// The one client with its one device. Devices, their descriptions and events are never looked into: any address serves.
static PJRT_Client client;
static char device, description, event;
static PJRT_Device* devices[] = {(PJRT_Device*)&device};

static PyObject* bridge;  // the module bridge.py

static PJRT_Error* failed(PJRT_Error_Code code, const char* message) {
  PJRT_Error* e = malloc(sizeof *e + strlen(message) + 1);
  e->code = code;
  strcpy(e->message, message);
  return e;
}

// raised turns Python's exception into an error. The lock is held.
static PJRT_Error* raised(void) {
  PyObject *type, *value, *trace;
  PyErr_Fetch(&type, &value, &trace);
  PyErr_NormalizeException(&type, &value, &trace);
  PyObject* text = value ? PyUnicode_FromFormat("%s: %S", Py_TYPE(value)->tp_name, value) : NULL;
  const char* message = text ? PyUnicode_AsUTF8(text) : NULL;
  PJRT_Error* e = failed(PJRT_Error_Code_INTERNAL, message ? message : "an exception without a message");
  PyErr_Clear();
  Py_XDECREF(text), Py_XDECREF(type), Py_XDECREF(value), Py_XDECREF(trace);
  return e;
}

// call calls a function of bridge.py and takes over its arguments. The lock is held; NULL means that an exception is set.
static PyObject* call(const char* name, PyObject* args) {
  if (!args) return NULL;
  PyObject* function = PyObject_GetAttrString(bridge, name);
  PyObject* result = function ? PyObject_CallObject(function, args) : NULL;
  Py_XDECREF(function);
  Py_DECREF(args);
  return result;
}

// Errors

static void error_destroy(PJRT_Error_Destroy_Args* a) { free(a->error); }

static void error_message(PJRT_Error_Message_Args* a) {
  a->message = a->error->message;
  a->message_size = strlen(a->message);
}

static PJRT_Error* error_code(PJRT_Error_GetCode_Args* a) {
  a->code = a->error->code;
  return NULL;
}

static PJRT_Error* unimplemented(void* a) {
  (void)a;
  return failed(PJRT_Error_Code_UNIMPLEMENTED, "the bridge to jaxlib has no such function");
}

// The plugin and its events

static PJRT_Error* start_failed;

// start begins Python and loads bridge.py, which lies with its packages beside this library.
static void start(void) {
  Dl_info here;
  char folder[4096], packages[4200];
  dladdr((void*)start, &here);
  snprintf(folder, sizeof folder, "%s", here.dli_fname);
  char* slash = strrchr(folder, '/');
  if (!slash) {
    start_failed = failed(PJRT_Error_Code_INTERNAL, "the bridge must be loaded by its whole path");
    return;
  }
  *slash = 0;
  snprintf(packages, sizeof packages, "%s/packages", folder);
  // The libraries of numpy and jaxlib look for Python's symbols among those of the process.
  Dl_info python;
  dladdr((void*)Py_InitializeFromConfig, &python);
  dlopen(python.dli_fname, RTLD_NOW | RTLD_GLOBAL | RTLD_NOLOAD);

  PyConfig config;
  PyConfig_InitIsolatedConfig(&config);
  config.site_import = 0;
  config.install_signal_handlers = 0;
  PyStatus status = PyConfig_SetBytesString(&config, &config.program_name, BRIDGE_PYTHON);
  if (!PyStatus_Exception(status)) status = Py_InitializeFromConfig(&config);
  PyConfig_Clear(&config);
  if (PyStatus_Exception(status)) {
    start_failed = failed(PJRT_Error_Code_INTERNAL, status.err_msg ? status.err_msg : "Python does not start");
    return;
  }
  PyObject* path = PySys_GetObject("path");
  PyObject *p = PyUnicode_DecodeFSDefault(packages), *f = PyUnicode_DecodeFSDefault(folder);
  PyList_Insert(path, 0, p);
  PyList_Insert(path, 0, f);
  Py_DECREF(p), Py_DECREF(f);
  bridge = PyImport_ImportModule("bridge");
  PyObject* texts = bridge ? call("describe", PyTuple_New(0)) : NULL;
  const char *platform, *version, *about;
  if (texts && PyArg_ParseTuple(texts, "sss", &platform, &version, &about)) {
    snprintf(client.platform, sizeof client.platform, "%s", platform);
    snprintf(client.version, sizeof client.version, "%s", version);
    snprintf(client.device, sizeof client.device, "%s", about);
  } else {
    start_failed = raised();
  }
  Py_XDECREF(texts);
  PyEval_SaveThread();
}

static PJRT_Error* plugin_initialize(PJRT_Plugin_Initialize_Args* a) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  (void)a;
  pthread_once(&once, start);
  return start_failed ? failed(start_failed->code, start_failed->message) : NULL;
}

static PJRT_Error* plugin_attributes(PJRT_Plugin_Attributes_Args* a) {
  a->attributes = NULL;
  a->num_attributes = 0;
  return NULL;
}

static PJRT_Error* nothing(void* a) {  // to wait for, or to free
  (void)a;
  return NULL;
}

static PJRT_Error* event_is_ready(PJRT_Event_IsReady_Args* a) {
  a->is_ready = true;
  return NULL;
}

static PJRT_Error* event_on_ready(PJRT_Event_OnReady_Args* a) {
  a->callback(NULL, a->user_arg);
  return NULL;
}

// Client and device

static PJRT_Error* client_create(PJRT_Client_Create_Args* a) {
  a->client = &client;
  return NULL;
}

static PJRT_Error* client_platform_name(PJRT_Client_PlatformName_Args* a) {
  a->platform_name = client.platform;
  a->platform_name_size = strlen(client.platform);
  return NULL;
}

static PJRT_Error* client_platform_version(PJRT_Client_PlatformVersion_Args* a) {
  a->platform_version = client.version;
  a->platform_version_size = strlen(client.version);
  return NULL;
}

static PJRT_Error* client_process_index(PJRT_Client_ProcessIndex_Args* a) {
  a->process_index = 0;
  return NULL;
}

static PJRT_Error* client_devices(PJRT_Client_Devices_Args* a) {
  a->devices = devices;
  a->num_devices = 1;
  return NULL;
}

static PJRT_Error* client_addressable_devices(PJRT_Client_AddressableDevices_Args* a) {
  a->addressable_devices = devices;
  a->num_addressable_devices = 1;
  return NULL;
}

static PJRT_Error* client_default_device_assignment(PJRT_Client_DefaultDeviceAssignment_Args* a) {
  if (a->num_replicas * a->num_partitions != 1 || a->default_assignment_size < 1)
    return failed(PJRT_Error_Code_INVALID_ARGUMENT, "the bridge has one device");
  a->default_assignment[0] = 0;
  return NULL;
}

static PJRT_Error* device_description(PJRT_Device_GetDescription_Args* a) {
  a->device_description = (PJRT_DeviceDescription*)&description;
  return NULL;
}

static PJRT_Error* device_is_addressable(PJRT_Device_IsAddressable_Args* a) {
  a->is_addressable = true;
  return NULL;
}

static PJRT_Error* device_hardware_id(PJRT_Device_LocalHardwareId_Args* a) {
  a->local_hardware_id = 0;
  return NULL;
}

static PJRT_Error* description_process_index(PJRT_DeviceDescription_ProcessIndex_Args* a) {
  a->process_index = 0;
  return NULL;
}

static PJRT_Error* description_debug_string(PJRT_DeviceDescription_DebugString_Args* a) {
  a->debug_string = client.device;
  a->debug_string_size = strlen(client.device);
  return NULL;
}

// Buffers

// new_buffer takes over array, which may be NULL. Dimensions are PyLongs of a tuple, or int64.
static PJRT_Buffer* new_buffer(PyObject* array, int type, size_t num_dims, const int64_t* dims, PyObject* tuple) {
  PJRT_Buffer* b = calloc(1, sizeof *b + num_dims * sizeof(int64_t));
  b->array = array;
  b->type = type;
  b->num_dims = num_dims;
  for (size_t i = 0; i < num_dims; i++) b->dims[i] = tuple ? PyLong_AsLongLong(PyTuple_GET_ITEM(tuple, i)) : dims[i];
  return b;
}

// item_size returns the bytes of an element; 0 for types that bridge.py does not know either.
static size_t item_size(int type) {
  static const unsigned char sizes[] = {0, 1, 1, 2, 4, 8, 1, 2, 4, 8, 2, 4, 8, 2, 8, 16};
  return type > 0 && (size_t)type < sizeof sizes ? sizes[type] : 0;
}

static size_t byte_size(int type, size_t num_dims, const int64_t* dims) {
  size_t n = item_size(type);
  for (size_t i = 0; i < num_dims; i++) n *= (size_t)dims[i];
  return n;
}

// put copies memory to the device. The lock is held.
static PyObject* put(const void* data, int type, size_t num_dims, const int64_t* dims) {
  PyObject* shape = PyTuple_New((Py_ssize_t)num_dims);
  for (size_t i = 0; i < num_dims; i++) PyTuple_SET_ITEM(shape, (Py_ssize_t)i, PyLong_FromLongLong(dims[i]));
  size_t size = byte_size(type, num_dims, dims);
  static char none;  // of no bytes, too, there must be an address
  PyObject* bytes = PyMemoryView_FromMemory(size ? (char*)data : &none, (Py_ssize_t)size, PyBUF_READ);
  return call("put", Py_BuildValue("(NiN)", bytes, type, shape));
}

static PJRT_Error* buffer_from_host(PJRT_Client_BufferFromHostBuffer_Args* a) {
  if (a->num_byte_strides || a->device_layout)
    return failed(PJRT_Error_Code_UNIMPLEMENTED, "the bridge takes arrays in row-major order only");
  PyGILState_STATE lock = PyGILState_Ensure();
  PyObject* array = put(a->data, a->type, a->num_dims, a->dims);
  PJRT_Error* e = array ? NULL : raised();
  if (array) a->buffer = new_buffer(array, a->type, a->num_dims, a->dims, NULL);
  PyGILState_Release(lock);
  a->done_with_host_buffer = (PJRT_Event*)&event;
  return e;
}

static PJRT_Error* buffer_view(PJRT_Client_CreateViewOfDeviceBuffer_Args* a) {
  a->buffer = new_buffer(NULL, a->element_type, a->num_dims, a->dims, NULL);
  a->buffer->view = a->device_buffer_ptr;
  return NULL;
}

static PJRT_Error* buffer_destroy(PJRT_Buffer_Destroy_Args* a) {
  PyGILState_STATE lock = PyGILState_Ensure();
  Py_XDECREF(a->buffer->array);
  PyGILState_Release(lock);
  free(a->buffer);
  return NULL;
}

static PJRT_Error* buffer_type(PJRT_Buffer_ElementType_Args* a) {
  a->type = a->buffer->type;
  return NULL;
}

static PJRT_Error* buffer_dimensions(PJRT_Buffer_Dimensions_Args* a) {
  a->dims = a->buffer->dims;
  a->num_dims = a->buffer->num_dims;
  return NULL;
}

static PJRT_Error* buffer_device(PJRT_Buffer_Device_Args* a) {
  a->device = devices[0];
  return NULL;
}

static PJRT_Error* buffer_to_host(PJRT_Buffer_ToHostBuffer_Args* a) {
  PJRT_Buffer* b = a->src;
  size_t size = byte_size(b->type, b->num_dims, b->dims);
  a->event = (PJRT_Event*)&event;
  if (!a->dst) {
    a->dst_size = size;
    return NULL;
  }
  if (a->dst_size < size) return failed(PJRT_Error_Code_INVALID_ARGUMENT, "the memory is too small for the array");
  if (!size) return NULL;
  if (b->view) {
    memcpy(a->dst, b->view, size);
    return NULL;
  }
  PyGILState_STATE lock = PyGILState_Ensure();
  PyObject* bytes = PyMemoryView_FromMemory(a->dst, (Py_ssize_t)size, PyBUF_WRITE);
  PyObject* done = call("get", Py_BuildValue("(ON)", b->array, bytes));
  PJRT_Error* e = done ? NULL : raised();
  Py_XDECREF(done);
  PyGILState_Release(lock);
  return e;
}

static PJRT_Error* buffer_pointer(PJRT_Buffer_UnsafePointer_Args* a) {
  if (a->buffer->view) {
    a->buffer_pointer = (uintptr_t)a->buffer->view;
    return NULL;
  }
  PyGILState_STATE lock = PyGILState_Ensure();
  PyObject* p = call("pointer", Py_BuildValue("(O)", a->buffer->array));
  if (p) a->buffer_pointer = (uintptr_t)PyLong_AsUnsignedLongLong(p);
  PJRT_Error* e = p && !PyErr_Occurred() ? NULL : raised();
  Py_XDECREF(p);
  PyGILState_Release(lock);
  return e;
}

// Programs

static PJRT_Error* client_compile(PJRT_Client_Compile_Args* a) {
  if (a->program->format_size != 4 || memcmp(a->program->format, "mlir", 4))
    return failed(PJRT_Error_Code_UNIMPLEMENTED, "the bridge compiles StableHLO only");
  PyGILState_STATE lock = PyGILState_Ensure();
  PyObject* result = call("compile", Py_BuildValue("(y#y#)", a->program->code, (Py_ssize_t)a->program->code_size,
                                                   a->compile_options, (Py_ssize_t)a->compile_options_size));
  PJRT_LoadedExecutable* x = calloc(1, sizeof *x);
  const char* name;
  Py_ssize_t outputs;
  long long s[5];
  PJRT_Error* e = NULL;
  if (result && PyArg_ParseTuple(result, "Osn(LLLLL)", &x->executable, &name, &outputs, s, s + 1, s + 2, s + 3, s + 4)) {
    Py_INCREF(x->executable);
    snprintf(x->name, sizeof x->name, "%s", name);
    x->num_outputs = (size_t)outputs;
    for (int i = 0; i < 5; i++) x->stats[i] = s[i];
    a->executable = x;
  } else {
    e = raised();
    free(x);
  }
  Py_XDECREF(result);
  PyGILState_Release(lock);
  return e;
}

static PJRT_Error* loaded_destroy(PJRT_LoadedExecutable_Destroy_Args* a) {
  PyGILState_STATE lock = PyGILState_Ensure();
  Py_DECREF(a->executable->executable);
  PyGILState_Release(lock);
  free(a->executable);
  return NULL;
}

static PJRT_Error* loaded_executable(PJRT_LoadedExecutable_GetExecutable_Args* a) {
  a->executable = (PJRT_Executable*)a->loaded_executable;  // one and the same, freed once, as a loaded one
  return NULL;
}

static PJRT_Error* executable_name(PJRT_Executable_Name_Args* a) {
  a->executable_name = ((PJRT_LoadedExecutable*)a->executable)->name;
  a->executable_name_size = strlen(a->executable_name);
  return NULL;
}

static PJRT_Error* executable_num_outputs(PJRT_Executable_NumOutputs_Args* a) {
  a->num_outputs = ((PJRT_LoadedExecutable*)a->executable)->num_outputs;
  return NULL;
}

static PJRT_Error* executable_memory(PJRT_Executable_GetCompiledMemoryStats_Args* a) {
  const int64_t* s = ((PJRT_LoadedExecutable*)a->executable)->stats;
  a->generated_code_size_in_bytes = s[0];
  a->argument_size_in_bytes = s[1];
  a->output_size_in_bytes = s[2];
  a->alias_size_in_bytes = s[3];
  a->temp_size_in_bytes = s[4];
  return NULL;
}

// arguments returns the arrays of buffers as a list. The lock is held.
static PyObject* arguments(PJRT_Buffer* const* buffers, size_t n) {
  PyObject* list = PyList_New((Py_ssize_t)n);
  for (size_t i = 0; i < n; i++) {
    PJRT_Buffer* b = buffers[i];
    PyObject* array = NULL;
    if (!b)
      PyErr_Format(PyExc_ValueError, "argument %zu was destroyed or given away before", i);
    else if (b->view)
      array = put(b->view, b->type, b->num_dims, b->dims);
    else
      array = Py_NewRef(b->array);
    if (!array) {
      Py_DECREF(list);
      return NULL;
    }
    PyList_SET_ITEM(list, (Py_ssize_t)i, array);
  }
  return list;
}

static PJRT_Error* execute(PJRT_LoadedExecutable_Execute_Args* a) {
  if (a->num_devices != 1) return failed(PJRT_Error_Code_INVALID_ARGUMENT, "the bridge has one device");
  PyGILState_STATE lock = PyGILState_Ensure();
  PyObject* list = arguments(a->num_args ? a->argument_lists[0] : NULL, a->num_args);
  PyObject* outputs = list ? call("execute", Py_BuildValue("(ON)", a->executable->executable, list)) : NULL;
  PJRT_Error* e = outputs ? NULL : raised();
  for (size_t i = 0; !e && i < a->executable->num_outputs; i++) {
    PyObject *array, *dims;
    int type;
    if (!PyArg_ParseTuple(PyList_GET_ITEM(outputs, (Py_ssize_t)i), "OiO", &array, &type, &dims)) {
      e = raised();
      break;
    }
    a->output_lists[0][i] = new_buffer(Py_NewRef(array), type, (size_t)PyTuple_GET_SIZE(dims), NULL, dims);
  }
  Py_XDECREF(outputs);
  PyGILState_Release(lock);
  if (!e && a->device_complete_events) a->device_complete_events[0] = (PJRT_Event*)&event;
  return e;
}

__attribute__((visibility("default"))) const PJRT_Api* GetPjrtApi(void) {
  static PJRT_Api api;
  // Whatever is not set below says so; all members from here to the end are functions.
  for (void** f = (void**)&api.PJRT_Error_Destroy; f < (void**)(&api + 1); f++) *f = (void*)unimplemented;
  api.struct_size = PJRT_Api_STRUCT_SIZE;
  api.pjrt_api_version = (PJRT_Api_Version){PJRT_Api_Version_STRUCT_SIZE, NULL, PJRT_API_MAJOR, PJRT_API_MINOR};
  api.PJRT_Error_Destroy = error_destroy;
  api.PJRT_Error_Message = error_message;
  api.PJRT_Error_GetCode = error_code;
  api.PJRT_Plugin_Initialize = plugin_initialize;
  api.PJRT_Plugin_Attributes = plugin_attributes;
  api.PJRT_Event_Destroy = (PJRT_Event_Destroy*)nothing;
  api.PJRT_Event_Await = (PJRT_Event_Await*)nothing;
  api.PJRT_Event_Error = (PJRT_Event_Error*)nothing;
  api.PJRT_Event_IsReady = event_is_ready;
  api.PJRT_Event_OnReady = event_on_ready;
  api.PJRT_Client_Create = client_create;
  api.PJRT_Client_Destroy = (PJRT_Client_Destroy*)nothing;
  api.PJRT_Client_PlatformName = client_platform_name;
  api.PJRT_Client_PlatformVersion = client_platform_version;
  api.PJRT_Client_ProcessIndex = client_process_index;
  api.PJRT_Client_Devices = client_devices;
  api.PJRT_Client_AddressableDevices = client_addressable_devices;
  api.PJRT_Client_DefaultDeviceAssignment = client_default_device_assignment;
  api.PJRT_Client_Compile = client_compile;
  api.PJRT_Client_BufferFromHostBuffer = buffer_from_host;
  api.PJRT_Client_CreateViewOfDeviceBuffer = buffer_view;
  api.PJRT_Device_GetDescription = device_description;
  api.PJRT_Device_IsAddressable = device_is_addressable;
  api.PJRT_Device_LocalHardwareId = device_hardware_id;
  api.PJRT_DeviceDescription_ProcessIndex = description_process_index;
  api.PJRT_DeviceDescription_DebugString = description_debug_string;
  api.PJRT_LoadedExecutable_Destroy = loaded_destroy;
  api.PJRT_LoadedExecutable_GetExecutable = loaded_executable;
  api.PJRT_LoadedExecutable_Execute = execute;
  api.PJRT_Executable_Destroy = (PJRT_Executable_Destroy*)nothing;
  api.PJRT_Executable_Name = executable_name;
  api.PJRT_Executable_NumOutputs = executable_num_outputs;
  api.PJRT_Executable_GetCompiledMemoryStats = executable_memory;
  api.PJRT_Buffer_Destroy = buffer_destroy;
  api.PJRT_Buffer_ElementType = buffer_type;
  api.PJRT_Buffer_Dimensions = buffer_dimensions;
  api.PJRT_Buffer_Device = buffer_device;
  api.PJRT_Buffer_ToHostBuffer = buffer_to_host;
  api.PJRT_Buffer_UnsafePointer = buffer_pointer;
  return &api;
}
