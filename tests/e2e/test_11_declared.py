"""Tools that the user declares in gg.toml: recorded, deferred, and the same bytes as a plain build."""

from __future__ import annotations

from tests.e2e.project import Project, is_placeholder

PARSERS = """
[tool.flex]
options.output = ["-o: --outfile="]
options.value = ["-P: --prefix="]
options.real = ["-t --stdout"]
outputs = [{ path = "lex.yy.c", unless = "-o" }]
programs = ["m4"]

[tool.bison]
options.output = ["-o: --output="]
options.flag = ["-d", "-v"]
options.probe = ["--version"]
outputs = [
    { path = "{base}.tab.c", unless = "-o" },
    { path = "{-o:base}.h", when = "-d" },
    { path = "{-o:base}.output", when = "-v" },
]
inputs = ["/usr/share/bison/**"]
programs = ["m4"]
"""


def calculator(project: Project) -> None:
    project.write(
        "p.y",
        "%{\n#include <stdio.h>\nint yylex(void);\nvoid yyerror(const char *s) { puts(s); }\n%}\n%token NUM\n%%\n"
        's: s NUM { printf("%d,", $2); } | ;\n%%\nint main(void) { return yyparse(); }\n',
    )
    project.write(
        "l.l",
        '%{\n#include <stdlib.h>\n#include "p.h"\n%}\n%option noyywrap noinput nounput\n%%\n'
        "[0-9]+ { yylval = atoi(yytext); return NUM; }\n.|\\n ;\n%%\n",
    )
    project.write(
        "Makefile",
        "calc: p.o l.o\n\tcc -o $@ p.o l.o\np.c p.h p.output: p.y\n\tbison --version >/dev/null\n\tbison -dv -o p.c p.y\n"
        "l.c: l.l\n\tflex -o l.c l.l\nl.o: l.c p.h\n%.o: %.c\n\tcc -g -c -o $@ $<\n",
    )


def test_parser_generators_become_thunks(project: Project) -> None:
    calculator(project)
    project.settings(PARSERS)
    project.same_as_plain()
    assert b'"bison"' in project.gg("status", "--json").stdout
    assert project.gg("explain").stdout.split(b"\n")[1:] == [b""], "only the question ran"
    assert project.run("sh", "-c", "echo 1 22 | ./calc").stdout == b"1,22,"
    project.write("l.l", project.path("l.l").read_text().replace("[0-9]+", "[1-9][0-9]*"))
    assert "p.o" not in project.build().ran
    expected, _ = project.plain("make", "-B")
    project.assert_tree(expected)


GENERATOR = '#include <stdio.h>\nint main(int c, char **v) { FILE *i = fopen(v[2], "r"), *o = fopen(v[3], "w");\n'


def own_generator(project: Project, call: str) -> None:
    """A program of the build copies its input in a fashion of its own, and is called by `call`."""
    project.write(
        "gen.c", GENERATOR + "for (int k; (k = getc(i)) != EOF;) putc(k ^ c % 2, o);\nreturn fclose(o) != 0; }\n"
    )
    project.write("in.txt", "some text\n")
    project.write(
        "Makefile",
        f"all: out.txt out2.txt\nbin/gen: gen.c\n\tmkdir -p bin\n\tcc -o $@ gen.c\n"
        f"out.txt: bin/gen in.txt\n\t{call} code in.txt $@\nout2.txt: out.txt bin/gen\n\t{call} code out.txt $@\n",
    )


def test_a_tool_that_the_build_makes_is_deferred_with_it(project: Project) -> None:
    own_generator(project, "./bin/gen")
    project.settings('[tool.gen]\nnames = ["*/bin/gen"]\noperands = ["value", "input", "output"]\n')
    expected, _ = project.plain()
    project.infer()
    assert is_placeholder(project.path("bin/gen"))
    assert is_placeholder(project.path("out2.txt"))
    assert project.forced().ran == ["bin/gen", "out.txt", "out2.txt"]
    project.assert_tree(expected)
    project.make("-q")
    project.write("gen.c", project.path("gen.c").read_text() + "/* the same program */\n")
    assert project.build().ran == ["bin/gen"]


def test_the_same_by_its_base_name_and_through_a_script(project: Project) -> None:
    own_generator(project, "sh -c 'exec \"$$@\"' - $(CURDIR)/bin/gen")
    project.settings('[tool.gen]\noperands = ["value", "input", "output"]\n')
    assert project.same_as_plain().ran == ["bin/gen", "out.txt", "out2.txt"]


PERL = """
[tool.generate]
names = ["perl"]
script = "generate.pl"
operands = ["output"]
inputs = ["data/**"]
"""


def test_a_script_of_an_interpreter(project: Project) -> None:
    """What its table does not say, here a file in another directory, is found when it runs and watched from then on."""
    project.write(
        "generate.pl",
        "open(my $o, '>', $ARGV[0]);\n"
        "for my $n (sort(glob('data/*')), 'other/extra') { open(my $i, '<', $n); print {$o} (<$i>); }\n",
    )
    project.write("other.pl", "exit(system('cc', '-c', 'x.c') != 0);\n")
    for name, text in (("data/a", "A\n"), ("data/b", "B\n"), ("other/extra", "E\n"), ("x.c", "int x;\n")):
        project.write(name, text)
    project.write("Makefile", "all: out x.o\nout: data/a data/b\n\tperl generate.pl out\nx.o:\n\tperl other.pl\n")
    project.settings(PERL)
    assert project.same_as_plain().ran == ["out"]  # what a script starts, whose table nobody wrote, it may act on
    assert project.path("out").read_text() == "A\nB\nE\n"
    for name, text in (("data/c", "C\n"), ("other/extra", "F\n")):
        project.path("out").unlink()
        project.write(name, text)
        assert project.build().ran == ["out"], name
    assert project.path("out").read_text() == "A\nB\nC\nF\n"
    project.path("out").unlink()
    assert project.build().ran == []


def test_tables_that_make_no_sense(project: Project) -> None:
    project.settings('[tool.x]\noptions.outputs = ["-o:"]\n')
    told = project.infer("true", status=64).stderr.decode()
    assert f"{project.root}/gg.toml: [tool.x] options: unknown role 'outputs'" in told
    project.settings("tool = 3\n")
    assert b"unknown setting" in project.infer("true", status=64).stderr
