"""Small templates that show what the runtime's engine does with one construct each."""
import itertools

PROBE_MESSAGES = [{"role": "system", "content": "S"}, {"role": "user", "content": " u'\"é\n", "extra": {"b": 1, "type": "t", "a": [1, 2.5, None]}},
                  {"role": "assistant", "content": None, "tool_calls": [{"function": {"name": "f", "arguments": {"x": 1}}}]}]
PROBE_CONTEXT = {
    "s": " Ab c\t", "e": "", "t": "a,b,,c", "u": "é中", "q": "it's \"q\" \\ \n\r\u0001\u007f", "n": 3, "z": 0, "neg": -7, "big": 12345678901234567890,
    "f": 1.5, "g": 100.0, "h": 1e30, "i": 1e-7, "j": 0.001, "k": 123456789.125, "yes": True, "no": False, "nil": None,
    "l": [3, 1, 2], "m": [[1, "x"], {"k": "v"}, None, True, "s'\n"], "el": [], "d": {"b": 1, "a": {"type": "x", "name": None}, "enum": [1]}, "ed": {},
    "r": [{"name": "x", "v": 1}, {"name": "y"}, 5],
}

VALUES = ["s", "e", "u", "n", "z", "f", "yes", "no", "nil", "l", "el", "d", "ed", "missing"]
ALL_VALUES = VALUES + ["q", "t", "neg", "big", "g", "h", "i", "j", "k", "m", "r"]
OPERATORS = ["+", "-", "~", "==", "<", ">=", "in", "not in", "and", "or"]
FILTERS = ["tojson", "tojson(indent=2)", "tojson(4)", "string", "capitalize", "length", "trim", "items", "lower", "upper", "map(attribute='name')",
           "map('name')", "map", "default('x')", "first", "last", "list", "join(',')", "replace('a','b')", "int", "title", "e|upper", "sort", "reverse"]
TESTS = ["defined", "undefined", "none", "boolean", "string", "number", "sequence", "iterable", "mapping", "true", "false", "not none",
         "not defined", "not string", "odd", "in [1]", "divisibleby(2)", "equalto(3)", "None"]
METHODS = ["strip()", "strip('\\n A')", "lstrip()", "rstrip()", "strip('')", "split()", "split(',')", "split(',', 1)", "split(',')[1]", "split(',')[-1]",
           "startswith(' ')", "startswith('')", "startswith()", "startswith(('x', ' '))", "endswith('c')", "endswith(missing)", "replace('b', 'BB')",
           "replace('', 'x')", "replace('b')", "replace(' ', '', 1)", "upper()", "lower()", "title()", "find('b')", "get('b')", "get('zz', 5)", "items()",
           "keys()", "values()", "format(1)", "b", "b.c", "length", "append(1)", "strip", "split"]
KEYS = ["0", "-1", "5", "'a'", "'zz'", "1:", ":1", ":-1", "::2", "::-1", "2:0:-1", "-2:", "1:9", ":", "::0", "n", "missing", "nil", "", "'x':", "f",
        "0][0", "'a']['type'", "0].x"]

PRINTED = [
    "1", "-1", "- -1", "+1", "--n", "1.5", "1.5 + 2", "007", "99999999999", "99999999999999999999", "1e3", "'a' 'b'", "'a' \"b\"", "\"x'y\"", "'x\\'y'", "'\\n\\t\\\\\\x41\\u00e9\\q'", "true", "True", "none", "None",
    "false", "False", "null", "[]", "{}", "[1, 2]", "[1 2]", "[1, 'a', [2]]", "(1, 2)", "(1)", "()", "{'a': 1}", "{'a': {'b': 1} }", "{'a': {'b': 1}}", "{1: 2}", "{n: 1}", "{'a': 1, 'a': 2}", "{'a'}", "{'a' 1}",
    "not yes", "not not n", "not n == 3", "not n in l", "n not 3", "n is not none", "n if yes", "n if no", "n if no else s", "n if yes else s if no else u", "(n if no else s) ~ 1", "n if yes or no else 1",
    "1 if z else 2 if e else 3", "n + 1 - 2", "1 + 2 ~ 3", "1 ~ 2 + 3", "2 * 3", "7 % 2", "7 / 2", "7 // 2", "2 ** 3", "1 + 2 * 3", "n * 2 == 6", "1 < 2 < 3", "1 == 1 == 1", "'a' < 'b'", "l == [3, 1, 2]", "l < [3, 2]",
    "d == {'x': 1, 'y': 2, 'z': 3}", "d == d", "ed == {}", "nil == missing", "missing == missing", "[missing]", "{'a': missing}", "missing ~ 'a'", "missing.x", "missing.x.y", "missing['x']", "missing[0]", "missing()",
    "missing.x()", "'a'.upper()", "'ab'[0]", "('a')[0]", "('a').strip()", "[1, 2][0]", "{'a': 1}['a']", "{'a': 1}.a", "5.x", "n.x", "s.length", "l.length", "l.0", "l .length", "l. length", "l[0]", "l [0]", "d.a.type",
    "d['a'].type", "d.enum[0]", "d.items", "d.get", "s|upper|lower", "s | trim | length", "s|", "s|5", "s||upper", "s|upper()", "'a' ~ 'b'|upper", "-n|string", "-s", "+s", "n|string + 's'", "n + 's'", "l + l", "l + 1", "1 + l",
    "missing + l", "range(3)", "range(1, 4)", "range(5, 0, -2)", "range(0)", "range()", "range('a')", "range(2, 3, 0)", "range", "namespace", "strftime_now", "namespace(a=1, b='x')", "namespace(d)", "namespace()", "namespace",
    "dict(a=1)", "raise_exception('x')", "lipsum()", "loop", "loop.index", "messages|length", "messages[0].role", "messages[-1]['role']", "messages[1].extra", "messages[1].extra|tojson", "messages[2].content",
    "messages[2]|tojson", "messages[1:]|length", "messages", "add_generation_prompt", "bos_token", "eos_token", "bos_token + eos_token", "tools", "documents", "a b c", "a, b", "n, s", "n; s", "n = 3", "n == 3 == yes", "@",
    "é", "u é", "n é", "s[0]", "s[1:]", "s[:2]", "'a' in s", "'A' in s", "1 in l", "'a' in d", "'b' in d and 1", "missing in l", "nil in m", "e in s", "1 in 's'", "yes and n", "n or s", "e or 'x'", "nil or missing", "yes and not no",
    "d|length", "m|string", "m|tojson", "q|tojson", "q|string", "m ~ ''", "r|map(attribute='name')", "r|map('v')|string", "r|selectattr('v')", "r|map(attribute='name')|join(', ')", "l|sort|join", "d|items", "d|items|length",
    "d|dictsort", "s is string and n is number", "not s is string", "(n) is number", "1 is number", "'a' is string", "n is", "n is not", "1 == 1.0", "f == 1.5", "f + 1", "f - f", "f + f", "n + neg", "n - neg", "big", "big + 1", "big > 1",
    "big is number", "-f", "g + 0", "[f, g, h]", "n|tojson", "f|tojson", "u|length", "u|upper", "u|capitalize", "u|tojson", "l|tojson(indent=0)", "d|tojson(indent=2)", "d|tojson(indent=nil)", "d|tojson(ensure_ascii=false)", "d|tojson(indent=2, sort_keys=true)",
    "{'a': []}|tojson", "[{}, []]|tojson(indent=1)", "s.strip().split(' ')", "s.strip().split(' ')|length", "t.split(',')|join('-')", "t.split(',')[0].x", "(t.split(','))[0]", "messages[0].content.strip()", "strftime_now('%%x')", "strftime_now('')",
]

STATEMENTS = [
    "{% set x = 1 %}{{ x }}", "{% set x %}body{% endset %}[{{ x }}]", "{% set a, b = 1, 2 %}{{ a }}|{{ b }}", "{% set x = n if yes %}{{ x }}", "{% set x = 1, 2 %}{{ x }}", "{%set x=1%}{{x}}", "{% set x 1 %}{{ x }}",
    "{% set ns = namespace(a=1) %}{% for i in l %}{% set ns.a = ns.a + i %}{% endfor %}{{ ns.a }}{{ ns }}", "{% set x = 1 %}{% for i in l %}{% set x = x + i %}{{ x }},{% endfor %}{{ x }}",
    "{% set d.b = 5 %}{{ d }}", "{% set d['b'] = 5 %}{{ d }}", "{% set d.a.type = 5 %}{{ d }}", "{% set l.x = 5 %}{{ l }}", "{% set n.x = 5 %}{{ n }}", "{% set nil.x = 5 %}{{ nil }}", "{% set missing.x = 5 %}{{ missing }}|{{ other.x }}|{{ other is defined }}",
    "{% set eos_token.x = 5 %}{{ eos_token }}", "{% set ns = namespace() %}{% set ns.x = ns %}{{ ns }}", "{% set a = d %}{% set a.b = 9 %}{{ d.b }}{{ a.b }}", "{% set x = d.a %}{% set x.type = 1 %}{{ d.a.type }}",
    "{% if yes %}a{% else %}b{% endif %}", "{% if no %}a{% elif n %}b{% else %}c{% endif %}", "{% if no %}a{% elif z %}b{% elif yes %}c{% else %}d{% endif %}e", "{% if no %}a{% else %}b{% else %}c{% endif %}", "{% if no %}a{% elif z %}b{% else %}c{% endif %}d{% endif %}e",
    "{% if yes %}a", "a{% endif %}b{% endfor %}c", "{% if n is divisibleby(3) %}a{% else %}b{% endif %}", "{% if n == 3 and t.startswith(('x', 'a')) and no %}a{% else %}b{% endif %}", "{% if %}a{% else %}b{% endif %}", "{% if n % 2 == 0 %}a{% else %}b{% endif %}",
    "{% if not missing %}a{% endif %}", "{% if missing is mapping %}a{% endif %}", "{% if messages[0]['zz'] is defined %}a{% endif %}", "{% if messages[0].zz is defined %}a{% else %}b{% endif %}", "{% if not no and yes or no %}a{% endif %}",
    "{% for i in l %}{{ i }}{{ loop.index }}{{ loop.index0 }}{{ loop.first }}{{ loop.last }}{{ loop.length }};{% endfor %}", "{% for i in l %}{{ loop }}{% endfor %}", "{% for i in l %}{{ loop.revindex }}{{ loop.previtem }}{{ loop.cycle('a', 'b') }}{% endfor %}",
    "{% for k in d %}{{ k }}{% endfor %}", "{% for k, v in d|items %}{{ k }}={{ v }};{% endfor %}", "{% for k, v in d.items() %}{{ k }}{% endfor %}", "{% for k, v in d %}{{ k }}-{{ v }};{% endfor %}", "{% for a, b in m %}{{ a }}/{{ b }};{% endfor %}",
    "{% for (a, b) in m %}{{ a }}{% endfor %}", "{% for i in l if i > 1 %}{{ loop.index }}{{ i }}{% endfor %}", "{% for i in l if i > 9 %}{{ i }}{% else %}none{% endfor %}", "{% for i in el %}x{% else %}none{% endfor %}", "{% for i in missing %}x{% else %}none{% endfor %}",
    "{% for c in s %}{{ c }}{% endfor %}", "{% for i in n %}x{% endfor %}", "{% for i in nil %}x{% endfor %}", "{% for i in l if i == 1 else 2 %}{{ i }}{% endfor %}", "{% for i in l if yes %}{% for j in l if j > i %}{{ i }}{{ j }} {% endfor %}{% endfor %}",
    "{% for i in l %}{% if i == 1 %}{% continue %}{% endif %}{{ i }}{% endfor %}", "{% for i in l %}{{ i }}{% break %}{% endfor %}", "{% for i in l recursive %}{{ i }}{% endfor %}", "{% for i in (l if yes else m) %}{{ i }}{% endfor %}", "{% for i in l if no else m %}{{ i }}{% endfor %}",
    "{% for i in range(3) %}{{ i }}{% endfor %}", "{% for i in l[::-1] %}{{ i }}{% endfor %}", "{% for in l %}a{% endfor %}", "{% for i l %}a{% endfor %}", "{% for i in l %}a", "{% for loop in l %}{{ loop }}{% endfor %}", "{% for i in l %}{% set loop = 1 %}{{ loop }}{% endfor %}{{ i }}",
    "{% macro f(a, b) %}<{{ a }}|{{ b }}>{% endmacro %}{{ f(1, 2) }}{{ f(1) }}{{ f(b=3) }}{{ f(1, 2, 3) }}{{ f() }}", "{% macro f(a, b='x') %}<{{ a }}|{{ b }}>{% endmacro %}{{ f(1) }}{{ f(1, b=2) }}", "{% macro f %}x{% endmacro %}{{ f() }}{{ f }}", "{% macro f() %}{{ n }}{% set n = 9 %}{{ n }}{% endmacro %}{{ f() }}{{ n }}",
    "{{ f() }}{% macro f() %}x{% endmacro %}{{ f() }}", "{% macro f(a) %}{% if a > 0 %}{{ a }}{{ f(a - 1) }}{% endif %}{% endmacro %}{{ f(5) }}", "{% macro f() %}{{ i }}{% endmacro %}{% for i in l %}{{ f() }}{% endfor %}", "{% macro f() %}x{% endmacro %}{{ f().strip() ~ f()|upper }}{{ f() == 'x' }}",
    "{% macro range(a) %}x{% endmacro %}{{ range(2) }}", "{% macro f(ns) %}{% set ns.a = 2 %}{% endmacro %}{% set ns = namespace(a=1) %}{{ f(ns) }}{{ ns.a }}", "{% macro f() %}{% set ns.a = 2 %}{% endmacro %}{% set ns = namespace(a=1) %}{{ f() }}{{ ns.a }}", "{% macro f(a) -%} {{ a }} {%- endmacro %}[{{ f(1) }}]",
    "{% macro f() %}{{ caller() }}{% endmacro %}{% call f() %}x{% endcall %}", "{% macro f(a=[1, 2]) %}{{ a }}{% endmacro %}{{ f() }}", "{% macro f(*a) %}x{% endmacro %}{{ f(1) }}", "{% macro 'f'(a) %}{{ a }}{% endmacro %}{{ f(1) }}",
    "{% raw %}{{ n }}{% endraw %}", "{% filter upper %}abc{% endfilter %}", "{% generation %}a{% endgeneration %}", "{% with x = 1 %}{{ x }}{% endwith %}", "{% include 'a' %}b", "{% autoescape true %}a{% endautoescape %}", "{% do l.append(1) %}{{ l }}",
    "{% %}a{% %}b", "{%%}a", "{{}}a", "{{ }}a", "{##}a", "{#a#}b\n{# c #}\nd", "a {#- b -#} c", "a {# b -#} c", "a{#-#}b", "{# {{ n }} #}x", "{# open", "{{ n", "{% if yes", "a {{ 'open }} b", "{{ n }", "{{ n %}", "{% set x = 1 }}a", "}}a%}b#}c",
    "{{ n }} {% if yes %} a {% endif %} b", "{{ n }}\n{% if yes %}\na\n{% endif %}\nb\n", "  {% if yes %}\n  a\n  {% endif %}\n", "a  {% if yes %}b{% endif %}  {% if yes %}c{% endif %}", "\t{% if yes %}a\t{% endif %}", "a\n\n{%- if yes -%}\n\n b \n{%- endif -%}\n c", "{{- n -}} a {{- n -}} \n", "{{-1}}|{{ -1 }}",
    "{%- if yes %} a{% endif -%} b", "{%+ if yes %}a{% endif %}", "{% if yes +%}\na{% endif %}", "{{ n }}  \n  {% set x = 1 %}\n  {{ x }}", "a \r\n{% if yes %}\r\nb{% endif %}", "\u00a0{%- if yes %}a{% endif %}", "{{ n }}\n", "a\n\n", "{% set x = 1 -%}\n\n a", "{%- set x = 1 %}\n\na", " {{ n }} {# c #} {% set x = 1 %}a",
    "{{ 'a' }}{{ 'b' }} {{ 'c' }}", "{{ '}}' }}", "{{ '{{' }}", "{% set x = '%}' %}{{ x }}", "{{ {'a': '}}'} }}", "{{ \"{%\" }}", "{ {n} }", "{{{n}}}", "{{{'a': 1}}}", "{%if yes%}a{%endif%}", "{{n}}{{ n}}{{n }}",
    "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}", "{% for m in messages %}{{ '<' + m['role'] + '>' + m['content'] }}{% endfor %}", "{{ messages[0]['content'] + messages[2]['content'] }}", "{% if messages[1].extra.b == 1 %}a{% endif %}",
    "{% for m in messages %}{% if m.content is string %}{{ m.content }}{% else %}{% for p in m.content %}{{ p.text }}{% endfor %}{% endif %}{% endfor %}", "{% for m in messages %}{% for p in m.content %}{{ p.text }}{% endfor %}{% endfor %}", "{% for m in messages %}{{ m.content[0].text }}{% endfor %}",
    "{{ bos_token }}{% for m in messages %}{{ m.content }}{% endfor %}", "{{ undefined_name + messages[0].content }}", "{% if messages[0].content is not string %}{{ messages[0].content[0]['text'] }}{% endif %}{{ messages[1].content }}", "{{ [a for b in c] ", "{{ s.split('') }}",
    "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "{{ [1 * 2] }}", "{{ {'a' * 2} }}", "{% set x = [1, 2 %}a", "{% set messages = messages[1:] %}{{ messages|length }}{{ messages[0].role }}", "{% set content = messages[0].content|trim %}{{ '[' + content + ']' }}",
    "{% set x = missing %}{{ x is defined }}{% set y = missing['a'] %}{{ y is defined }}", "{% set x = e %}{{ x is defined and x }}", "{{ n is defined and n is not none and n == 3 }}",
]

EXPRESSIONS = [f"{a} {op} {b}" for op in OPERATORS for a, b in itertools.product(VALUES, VALUES)]
EXPRESSIONS += [f"{v}|{f}" for f in FILTERS for v in ALL_VALUES]
EXPRESSIONS += [f"{v} is {t}" for t in TESTS for v in ALL_VALUES]
EXPRESSIONS += [f"{v}.{m}" for m in METHODS for v in ["s", "t", "d", "l", "n", "missing"]]
EXPRESSIONS += [f"{v}[{k}]" for k in KEYS for v in ["s", "l", "m", "d", "n", "missing"]]

# The many small ones share a template: loading a package takes longer than rendering it.
PROBES = ["\n".join(f"{{{{ {e} }}}}" for e in EXPRESSIONS[i:i + 20]) for i in range(0, len(EXPRESSIONS), 20)]
PROBES += [f"{{{{ {v} }}}}|{{% if {v} %}}T{{% endif %}}" for v in ALL_VALUES]
PROBES += [f"[{{{{ {p} }}}}]" for p in PRINTED] + STATEMENTS
