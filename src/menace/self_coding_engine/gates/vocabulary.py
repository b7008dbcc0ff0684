"""Names that a patch may, and may not, begin to use.

The lists are of what reaches beyond the file: other files, processes, the network, the interpreter,
modules of others, tests. What a file used before stays allowed where it was used.
"""

from __future__ import annotations

HARMLESS_MODULES = frozenset(
    {
        "__future__",
        "abc",
        "array",
        "base64",
        "binascii",
        "bisect",
        "calendar",
        "cmath",
        "collections",
        "colorsys",
        "contextlib",
        "copy",
        "csv",
        "dataclasses",
        "datetime",
        "decimal",
        "difflib",
        "enum",
        "fractions",
        "functools",
        "graphlib",
        "hashlib",
        "heapq",
        "html",
        "itertools",
        "json",
        "math",
        "numbers",
        "numpy",
        "operator",
        "pandas",
        "re",
        "statistics",
        "string",
        "struct",
        "textwrap",
        "typing",
        "unicodedata",
        "urllib.parse",
        "zoneinfo",
    }
)
"""May be imported anew. No clock, no randomness, no files: a helper that is the same whenever it is
run does not need them."""

TEST_MODULES = frozenset(
    {"_pytest", "conftest", "doctest", "hypothesis", "pytest", "test", "tests", "unittest"}
)
"""Never imported anew, whoever allows it: code that knows that it is tested can act for tests."""

SENSITIVE_MODULES = frozenset(
    {
        "_ctypes",
        "_io",
        "_thread",
        "ast",
        "asyncio",
        "atexit",
        "bdb",
        "builtins",
        "cffi",
        "code",
        "codecs",
        "codeop",
        "concurrent",
        "copyreg",
        "ctypes",
        "dis",
        "faulthandler",
        "fcntl",
        "ftplib",
        "gc",
        "glob",
        "http",
        "importlib",
        "inspect",
        "io",
        "linecache",
        "logging",
        "marshal",
        "mmap",
        "multiprocessing",
        "nt",
        "os",
        "pathlib",
        "pdb",
        "pickle",
        "pkgutil",
        "platform",
        "posix",
        "pty",
        "requests",
        "resource",
        "runpy",
        "select",
        "shelve",
        "shutil",
        "signal",
        "site",
        "smtplib",
        "socket",
        "sqlite3",
        "ssl",
        "subprocess",
        "sys",
        "sysconfig",
        "tempfile",
        "threading",
        "time",
        "traceback",
        "tracemalloc",
        "types",
        "warnings",
        "weakref",
        "webbrowser",
        "zipimport",
    }
)
"""Of these no new use, even where the file imports them already; nor through another module, as in
``random._os``."""

POWERFUL_MODULES = frozenset(
    {
        "builtins",
        "ctypes",
        "gc",
        "importlib",
        "inspect",
        "marshal",
        "multiprocessing",
        "os",
        "pickle",
        "posix",
        "runpy",
        "shutil",
        "socket",
        "subprocess",
        "sys",
        "threading",
    }
)
"""Not to be looked at as an attribute of anything. The other sensitive ones may be columns of a
table, such as ``rows.platform``."""

HARMLESS_USES = (
    "logging.getLogger",
    "os.fspath",
    "os.linesep",
    "os.path",
    "os.sep",
    "pathlib.PurePath",
    "pathlib.PurePosixPath",
    "sys.byteorder",
    "sys.float_info",
    "sys.getsizeof",
    "sys.maxsize",
    "sys.version_info",
    "types.MappingProxyType",
    "types.SimpleNamespace",
)
"""Uses of sensitive modules, with what lies below them, that may be new where the import is not."""

CLOSED_SUBMODULES = (
    "numpy.ctypeslib",
    "numpy.distutils",
    "numpy.f2py",
    "numpy.lib",
    "numpy.testing",
    "pandas._libs",
    "pandas._testing",
    "pandas.io",
    "pandas.testing",
)

DANGEROUS_NAMES = frozenset(
    {
        "BaseException",
        "GeneratorExit",
        "KeyboardInterrupt",
        "SystemExit",
        "__import__",
        "breakpoint",
        "compile",
        "delattr",
        "eval",
        "exec",
        "exit",
        "globals",
        "locals",
        "open",
        "quit",
        "setattr",
        "vars",
    }
)
"""Built-ins that reach files, names, attributes or the end of the process."""

NAMED_ACCESS = frozenset({"getattr", "attrgetter", "methodcaller"})
"""Reach an attribute by its name: allowed where the name stands there and is allowed itself."""

HARMLESS_DUNDERS = frozenset(
    {
        "__add__",
        "__call__",
        "__contains__",
        "__doc__",
        "__enter__",
        "__eq__",
        "__exit__",
        "__getitem__",
        "__init__",
        "__iter__",
        "__len__",
        "__lt__",
        "__missing__",
        "__mul__",
        "__name__",
        "__next__",
        "__post_init__",
        "__qualname__",
        "__setitem__",
    }
)
"""Attributes with two underscores on both sides that a patch may begin to look at."""

HARMLESS_BINDINGS = frozenset({"__all__", "__doc__", "__match_args__", "__slots__", "__version__"})
"""Names with two underscores on both sides that may be given a value."""

HARMLESS_METHODS = frozenset(
    {
        "__call__",
        "__contains__",
        "__enter__",
        "__exit__",
        "__getitem__",
        "__init__",
        "__iter__",
        "__len__",
        "__missing__",
        "__next__",
        "__post_init__",
        "__repr__",
        "__str__",
    }
)
"""Special methods that a patch may begin to define. Not ``__eq__`` and its like: a result that says
that it equals anything passes any test."""

DANGEROUS_ATTRIBUTES = frozenset(
    {
        "ForwardRef",
        "ag_frame",
        "co_code",
        "cr_frame",
        "ctypes",
        "dump",
        "eval",
        "f_back",
        "f_builtins",
        "f_code",
        "f_globals",
        "f_locals",
        "fromfile",
        "genfromtxt",
        "get_field",
        "get_type_hints",
        "gi_code",
        "gi_frame",
        "load",
        "loadtxt",
        "make_dataclass",
        "memmap",
        "mkdir",
        "open_memmap",
        "query",
        "read_bytes",
        "read_text",
        "redirect_stderr",
        "redirect_stdout",
        "rmdir",
        "save",
        "savetxt",
        "savez",
        "savez_compressed",
        "seed",
        "set_option",
        "set_printoptions",
        "set_state",
        "setcontext",
        "seterr",
        "seterrcall",
        "setprofile",
        "setrecursionlimit",
        "settrace",
        "system",
        "tb_frame",
        "tb_next",
        "to_clipboard",
        "tofile",
        "touch",
        "unlink",
        "write_bytes",
        "write_text",
    }
)
"""Methods and attributes, of whatever, that read or write files, run text as code, or change what
others share."""

FILE_METHODS = ("read_", "to_")
"""pandas' readers and writers begin like this and end in the name of a format."""

FILE_FORMATS = frozenset(
    {
        "clipboard",
        "csv",
        "excel",
        "feather",
        "fwf",
        "gbq",
        "hdf",
        "html",
        "iceberg",
        "json",
        "latex",
        "markdown",
        "orc",
        "parquet",
        "pickle",
        "sas",
        "spss",
        "sql",
        "sql_query",
        "sql_table",
        "stata",
        "table",
        "xml",
    }
)

HARMLESS_DECORATORS = frozenset(
    {
        "abc.abstractmethod",
        "classmethod",
        "contextlib.contextmanager",
        "dataclasses.dataclass",
        "functools.cache",
        "functools.cached_property",
        "functools.lru_cache",
        "functools.singledispatch",
        "functools.total_ordering",
        "functools.wraps",
        "property",
        "staticmethod",
        "typing.overload",
    }
)

HARMLESS_CALLS = frozenset(
    {
        "bool",
        "collections.Counter",
        "collections.OrderedDict",
        "collections.defaultdict",
        "collections.deque",
        "collections.namedtuple",
        "dataclasses.field",
        "datetime.date",
        "datetime.datetime",
        "datetime.time",
        "datetime.timedelta",
        "decimal.Decimal",
        "dict",
        "fractions.Fraction",
        "float",
        "frozenset",
        "functools.cache",
        "functools.lru_cache",
        "functools.partial",
        "int",
        "list",
        "logging.getLogger",
        "math.exp",
        "math.log",
        "math.sqrt",
        "numpy.arange",
        "numpy.array",
        "numpy.float64",
        "numpy.linspace",
        "object",
        "operator.itemgetter",
        "pandas.Timedelta",
        "pandas.Timestamp",
        "range",
        "re.compile",
        "set",
        "str",
        "struct.Struct",
        "tuple",
        "typing.NamedTuple",
        "typing.TypeVar",
        "zoneinfo.ZoneInfo",
    }
)
"""May be called while the file is imported: for constants, default values and arguments of
decorators."""
