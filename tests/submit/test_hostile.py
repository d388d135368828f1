"""Templates of somebody else: `--dry-run` shows what a job would do, does nothing of it, and ends."""

import os
import resource
import sys
import tracemalloc

import pytest

from nqs_hpc.cli.command import main
from nqs_hpc.cluster import batch
from nqs_hpc.cluster.batch import Entry, job_script
from nqs_hpc.cluster.site import load_site
from nqs_hpc.config.compose import InputError, compose
from nqs_hpc.config.identity import run_folder
from nqs_hpc.inputs.reading import MIB

SHELL = "['popen']('touch pwned').read()"
ESCAPES = [
    "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "{{ ''['__cl' ~ 'ass__'] }}",
    "{{ ''|attr('__class__') }}",
    "{{ [''] | map(attribute='__class__') | list }}",
    "{{ [options] | sort(attribute='__class__') }}",
    "{{ [''] | selectattr('__class__') | list }}",
    "{{ [''] | sum(attribute='__class__', start=0) }}",
    "{{ [''] | map('attr', '__class__') | list }}",
    "{{ cycler.__init__.__globals__.os" + SHELL + " }}",
    "{{ lipsum.__globals__['os']" + SHELL + " }}",
    "{{ joiner.__init__.__globals__ }}",
    "{{ self.__init__.__globals__ }}",
    "{{ self._TemplateReference__context }}",
    "{{ namespace.__init__ }}",
    "{{ name.format.__globals__ }}",
    "{{ '{0.__class__.__mro__}'.format(name) }}",
    "{{ '{0.__class__}'.format_map({'0': name}) }}",
    "{{ options.append.__self__ }}",
    "{{ entries.append(entries) }}",
    "{{ entries[0].update(folder='/') }}",
    "{% for f in [options.__class__] %}{{ f }}{% endfor %}",
    "{% set x = name.__class__ %}{{ x.mro() }}",
    "{% macro m() %}{% endmacro %}{{ m.__globals__ }}{{ m.__call__.__func__.__globals__ }}",
    "{{ loop.__init__ }}",
    "{{ open('/etc/passwd').read() }}",
    "{{ range(10**9) | list }}",
    "{% include '/etc/passwd' %}",
    "{% include '../secret' %}",
    "{% include 'sub/secret' %}",
    "{% extends '/etc/passwd' %}",
    "{% import '../secret' as s %}{{ s }}",
    "{% include 'link/../../secret' %}",
    "{% include 'pipe' %}",
]
# Large, slow or endless.
FLOODS = [
    "{{ 'x' * 10**10 }}",
    "{{ 2 ** 10**9 }}",
    "{{ 9**9**9**9 }}",
    "{{ '%1000000000d' % 1 }}",
    "{{ '%*d' % (10**9, 1) }}",
    "{{ 'x'.ljust(10**9) }}",
    "{{ 'x'.center(10**9) }}",
    "{{ 'x'.zfill(10**9) }}",
    "{{ '\\t'.expandtabs(10**9) }}",
    "{{ '{:1000000000}'.format(1) }}",
    "{{ 'x' | center(10**9) }}",
    "{{ 'x' | indent(10**9) }}",
    "{{ 1 | float | round(10**9) }}",
    "{% include 'cpu.sbatch' %}",
    "{% for i in range(10**9) %}x{% endfor %}",
    "{% macro m(n) %}{{ m(n) }}{% endmacro %}{{ m(1) }}",
    "{{ (1,) * 10**9 }}",
    "{{ [0] * 10**9 }}",
    "{{ 1 // 0 }}",
    "{% set x = name %}" + "{% set x = x ~ x %}" * 60 + "{{ x }}",
    "{% set x = name %}" + "{% set x = x + x %}" * 60 + "{{ x }}",
    "{% set x = [name] %}" + "{% set x = x + x %}" * 60 + "{{ x | length }}",
    "{% set x = name %}" + "{% set x = x | replace(x[0], x) %}" * 60 + "{{ x }}",
    "".join("{% for a in 'xxxxxxxxxx' %}" for _ in range(15)) + "".join("{% endfor %}" for _ in range(15)),
    "".join("{% for a in 'xxxxxxxxxx' %}" for _ in range(30)) + "".join("{% endfor %}" for _ in range(30)),
    "{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}",
]


@pytest.fixture
def filled(work, queue):
    """The script that `submit --dry-run` makes of a template; its exit code and what it printed."""
    (work / "secret").write_text("root:x:0:0")
    (work / "site" / "sub").mkdir(parents=True)
    (work / "site" / "sub" / "secret").write_text("root:x:0:0")
    (work / "site" / "site.yaml").write_text("mpi: pmi2\n")
    return lambda text: (work / "site" / "cpu.sbatch").write_text(text)


def script():
    config = compose(["run_dir=r", "resources.site=site/site.yaml"], None)
    return job_script(config.resources, load_site(config.resources.site), Entry(run_folder(config), []))


def seen(text):
    """Whether anything of Python, or of a file outside, is in a script."""
    return any(sign in text for sign in ("root:", "class '", "<function", "bound method", "object at 0x", "module '"))


@pytest.mark.parametrize("template", ESCAPES)
def test_no_way_from_a_template_to_python_or_to_other_files(work, filled, template):
    os.mkfifo(work / "site" / "pipe")
    filled(template)
    before = sorted(work.rglob("*"))
    try:
        assert not seen(script())
    except InputError as error:
        assert str(error).isprintable() and "cpu.sbatch cannot be filled in: " in str(error)
    assert sorted(work.rglob("*")) == before


@pytest.mark.parametrize("template", FLOODS)
def test_no_flood_from_a_template(filled, template, monkeypatch):
    filled(template)
    monkeypatch.setattr(batch, "SECONDS", 0.5)
    before = resource.getrlimit(resource.RLIMIT_AS), sys.gettrace()
    tracemalloc.start()
    try:
        with pytest.raises(InputError, match=r"cpu\.sbatch cannot be filled in: ") as caught:
            script()
        assert tracemalloc.get_traced_memory()[1] < 1024 * MIB
    finally:
        tracemalloc.stop()
    assert (resource.getrlimit(resource.RLIMIT_AS), sys.gettrace()) == before
    assert str(caught.value).isprintable()


def test_a_dry_run_of_a_hostile_template_is_one_line(work, filled, capsys):
    filled(ESCAPES[8])
    code = main(["submit", "run_dir=r", "resources.site=site/site.yaml", "--dry-run"])
    told = capsys.readouterr()
    assert code == 2 and told.out == "" and told.err.count("\n") == 1 and "cannot be filled in" in told.err
    assert not (work / "pwned").exists() and not (work / "r").exists()


def test_a_template_of_a_site_still_does_what_it_did(filled):
    filled(
        "{% for option in options %}{{ option }}{% endfor %}{{ mpi | quote }} {{ threads * 2 }} {{ 7 % ranks }} "
        "{{ name | upper | replace('R', 'X') }}{% if nodes is none %} one{% endif %} {{ cwd.split('/') | length }}\n"
    )
    assert script().startswith("pmi2 2 0 X")


def test_a_bomb_in_site_yaml_is_one_line(tmp_path):
    levels = "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 9))
    (tmp_path / "site.yaml").write_text("a0: &a0 [1]\n" + levels)
    with pytest.raises(InputError, match="stands for more than 500000 values"):
        load_site(str(tmp_path / "site.yaml"))


def test_templates_are_no_links(work, filled):
    """Their content would be printed by --dry-run."""
    filled("{% include 'x' %}")
    (work / "site" / "x").symlink_to(work / "secret")
    with pytest.raises(InputError, match=r"cannot be filled in: .*x.*ink"):
        script()
    (work / "site" / "cpu.sbatch").unlink()
    (work / "site" / "cpu.sbatch").symlink_to(work / "secret")
    with pytest.raises(InputError, match=r"cannot be filled in: .*cpu\.sbatch.*ink"):
        script()
