# Every IPython of this environment knows %skill and %%skill without %load_ext. Only the names are registered:
# the package is imported when one of them is first used. A shell starts even where this cannot work.
try:
    get_ipython().magics_manager.register_lazy("skill", "skill_magic")
except Exception:
    pass
