# Every IPython of this environment knows %skill and %%skill without %load_ext. Only the names are registered: the
# magics are loaded when one of them is first used. The package itself is found now, and not in the current directory,
# where a project that somebody else wrote could have a skill_magic.py. A shell starts even where this cannot work.
try:
    get_ipython().magics_manager.register_lazy("skill", "skill_magic")

    def _find_skill_magic():
        import os
        import sys

        places = list(sys.path)
        sys.path[:] = [place for place in places if place and os.path.realpath(place) != os.getcwd()]
        try:
            import skill_magic  # noqa: F401
        finally:
            sys.path[:] = places

    _find_skill_magic()
    del _find_skill_magic
except Exception:
    pass
