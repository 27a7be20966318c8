"""Templates of our own, each with constructs that a pass of the lowering rewrites: name, template, kinds of conversations."""

CHAT = "{% for m in messages %}{{ '<' ~ m.role ~ '>' ~ m.content }}{% endfor %}"

EXCERPTS = {
    "values of or and and": "{%- for m in messages -%}{{ m.name or m.role }}:{{ m.content and m.content or '-' }};{% endfor %}"
                            "{{ (tools or [])|length }}{{ enable_thinking or 'off' }}",
    "get": "{% for m in messages %}{{ m.get('role') }} {{ m.get('name', 'nobody') }} {{ m.get('x') }}"
           "{% set key = 'content' %}{{ m.get(key, '?') }}{% if m.get('tool_calls') %}!{% endif %}\n{% endfor %}",
    "default": "{{ title|default('none') }} {{ messages[0].content|default('empty', true) }} {{ x|d }}|",
    "set block": "{% set head %}<{{ messages|length }}>\n{% endset %}{% set low | upper %}abc{% endset %}{{ head ~ low }}"
                 "{% for m in messages %}{% set body %}{{ m.role }}={{ m.content }}{% endset %}{{ body }};{% endfor %}",
    "filter block": "{% filter upper %}abc {{ messages[0].role }}{% endfilter %}",
    "call block": "{% macro box(title) %}[{{ title }}:{{ caller() }}]{% endmacro %}"
                  "{% call box('t') %}{{ messages[0].content }}{% endcall %}",
    "macro defaults": "{% macro line(text, mark='- ', end='\\n') %}{{ mark + text + end }}{% endmacro %}"
                      "{% for m in messages %}{{ line(m.role) }}{{ line(m.role, end=';') }}{{ line(m.role, '* ') }}{% endfor %}",
    "remainders": "{% for m in messages %}{% if loop.index0 % 2 == 0 %}even{% else %}odd{% endif %} {{ loop.index // 2 }} "
                  "{{ loop.cycle('a', 'b') }} {{ loop.revindex }}{% if loop.index is divisibleby(3) %}!{% endif %}\n{% endfor %}",
    "jumps": "{% for m in messages %}{% if m.role == 'system' %}{% continue %}{% endif %}{{ m.role }}"
             "{% if loop.index > 2 %}{% break %}{% endif %};{% endfor %}",
    "for else": "{% for m in messages if m.role == 'tool' %}{{ m.content }}{% else %}no tools{% endfor %}"
                "{% for m in messages if m.role == 'user' %}{{ loop.index }}{% else %}no users{% endfor %}",
    "neighbours": "{% for m in messages %}{{ loop.previtem.role if loop.previtem is defined else 'start' }}>{{ m.role }}>"
                  "{{ loop.nextitem.role if not loop.last else 'end' }} {% endfor %}",
    "selections": "{% set u = messages|selectattr('role', 'equalto', 'user')|list %}{{ u|length }} {{ (u|first).content }} "
                  "{{ (messages|rejectattr('role', 'in', ['user'])|list)|length }} "
                  "{{ messages|map(attribute='role')|unique|join('+') }} {{ messages|map(attribute='role')|map('upper')|join }} "
                  "{% for m in messages|sort(attribute='role') %}{{ m.role }},{% endfor %}",
    "joins": "{{ ['a', 'b', 'c']|join(', ') }} {{ '-'.join(['x', 'y']) }} {{ messages|map(attribute='role')|join('/') }}",
    "splits": "{% set t = 'a--b--c' %}{{ t.split('--', 1)[1] }} {{ t.split('--')[-1] }} {{ t.rsplit('--', 1)[0] }} "
              "{{ 'none'.split('--', 1)|length }} {{ '<{}:{}>'.format('k', 1) }} {{ ('a' + 'b').upper() }}",
    "slices": "{% set t = messages[0].content ~ '!' %}{{ t[:-1] }}|{{ t[:t|length - 1] }}|{{ 'abc' if true }}"
              "{% for m in messages[1:] %}{{ m.role }}{% endfor %}{{ messages[:-1]|length }}",
    "strips": "{% for m in messages %}[{{ m.content|trim }}|{{ m.content.strip('\\n') }}|{{ m.content.lstrip() }}|"
              "{{ (m.content ~ ' ').rstrip() }}]{% endfor %}",
    "printed values": "{{ true }} {{ none }} {{ messages[0] }} {{ [1, 'a\\'b', none, true] }} {{ missing }} {{ missing|string }}|"
                      "{{ 1 + 2 }} {{ 1 == 1 }} {{ not true }}",
    "capitalised literals": "{% set a = True %}{% set b = None %}{% if a and b is none %}yes{% endif %}{{ False }}",
    "undefined": "{{ x is defined }} {{ x is mapping }} {{ x|length }} {{ messages[0]['name'] is defined }} "
                 "{{ messages[0]['role'] is string }} {{ (messages[0].x.y is defined) if messages[0].x is defined else 'no' }} "
                 "{{ messages is iterable }} {{ messages[0] is sequence }} {{ tools is none }} {{ 'a' ~ x ~ 'b' }}",
    "tojson": "{% for t in tools %}{{ t|tojson }}\n{{ t|tojson(indent=2) }}\n{% endfor %}{{ messages|tojson }}{{ {}|tojson(indent=4) }}",
    "mappings": "{% for k, v in messages[0].items() %}{{ k }}={{ v }};{% endfor %}{% for k in messages[0] %}{{ k ~ messages[0][k] }}"
                "{% endfor %}{% for k, v in messages[0]|dictsort %}{{ k }}{% endfor %}{{ messages[0].keys()|list|length }}"
                "{{ messages[0].values()|join(',') }}",
    "whole messages": "{% for m in messages %}{% if m == messages[-1] %}last{% elif messages[0] != m %}other{% else %}first{% endif %} "
                      "{% endfor %}",
    "changed namespace": "{% set ns = namespace(n=0, ids=[]) %}{% macro count(m, ns) %}{% set ns.n = ns.n + 1 %}{{ m.role }}"
                         "{% endmacro %}{% for m in messages %}{{ count(m, ns) }}{% set _ = ns.ids.append(m.role) %}{% endfor %}"
                         "{{ ns.n }}{% set f = ns.ids.pop(0) %}{{ f }}{{ ns.ids|join }}",
    "tuples": "{% set a, b = 1, 'x' %}{{ a }}{{ b }}{% for p, q in [(1, 2), (3, 4)] %}{{ p }}{{ q }}{% endfor %}"
              "{{ 'abc'.startswith(('x', 'a')) }}",
    "comparisons": "{{ 1 < 2 < 3 }} {{ 3 > 2 > 2 }} {{ 'a' in 'abc' and 1 not in [2] }} {{ (1 if 0 else 2) == 2 }}",
    "blanks": "{{ 'a' }} {% if true %}b{% endif %} {{ 'c' }}\n  {% if true %}\n  d\n  {% endif %}\n{# note #}\n e {%- if true %} f {% endif %}"
              "\n\ng\n",
    "safe": "{{ '<b>'|safe + messages[0].content }}{{ '<i>'|safe ~ messages[0].content }}",
    "indent": "{{ 'a\\nb\\n\\nc'|indent(2) }} {{ 'x\\ny'|indent(4, true) }} {{ ' ' * 3 }}|{{ [3, 1, 2]|max }}{{ [3, 1, 2]|sum }}"
              "{{ [2, 3]|min }} {{ [3, 1, 2]|sort|join }} {{ [1, 2]|reverse|join }}",
    "orders": "{% set p = [{'n': 'b', 'k': 2}, {'n': 'A', 'k': 3}, {'n': 'B', 'k': 1}, {'n': 'c', 'k': 3}] %}"
              "{% for x in p|sort(attribute='n') %}{{ x.n }}{% endfor %} {% for x in p|sort(true, attribute='k') %}{{ x.n }}{% endfor %} "
              "{% for x in p|sort(false, true, 'n') %}{{ x.n }}{% endfor %} {{ ['b', 'A', 'a', 'B']|unique|join }} "
              "{% for x in p|unique(attribute='k') %}{{ x.n }}{% endfor %} {{ ['b', 'C', 'a']|max }}{{ ['B', 'a', 'A']|min }}"
              "{{ (p|max(attribute='k')).n }}{{ p|sum(attribute='k') }} {% for k, v in {'b': 1, 'A': 3, 'c': 2}|dictsort %}{{ k }}{{ v }}{% endfor %} "
              "{% for k, v in {'b': 1, 'A': 3, 'c': 2}|dictsort(false, 'value', true) %}{{ k }}{{ v }}{% endfor %} "
              "{% for x in messages|sort(attribute='role', reverse=true) %}{{ x.role }};{% endfor %}",
    "kinds of numbers": "{% for x in [1, -2, 0, true, 'a', none, [1]] %}{{ x is integer }}{{ x is float }}{{ x is number }} {% endfor %}",
    "lines": "{% for t in ['', 'a', 'a\\n', '\\n', 'a\\r\\nb\\rc\\x0bd\\x85e\\u2028f\\x1c', messages[0].content] %}"
             "{{ t.splitlines()|join('|') }}:{{ t.splitlines()|length }};{% endfor %}",
    "arguments": "{{ 'a-b-c'.replace('-', '+', 1) }} {{ 'abc'.replace('x', 'y', 1) }} {{ 'a-b-c'|replace('-', '+', count=1) }} "
                 "{{ 'a-b-c'|replace(new='+', old='-') }} {{ 5|replace(5, 'x') }} {{ 'a b'.split(sep=' ')[1] }} {{ 'a-b-c'.split('-', maxsplit=1)[1] }} "
                 "{{ 'a-b-c'.rsplit('-')[-1] }} {{ '{b}{0}{{}}{0}{b}'.format(none, b=true) }} {{ '<<a>'|trim('<>') }} {{ '<a>'|trim(chars='<') }}",
    "equal mappings": "{% set d = {'a': 1, 'b': [2]} %}{{ d == {'b': [2], 'a': 1} }} {{ d == {'a': 1, 'b': [3]} }} {{ d != {} }} {{ {} == {} }} "
                      "{{ messages[0] == {'role': 'user'} }}",
    "joined values": "{{ [none, true, [1, 'a'], missing, 2]|join('-') }} {{ messages|join(';') }} {{ true|upper }} {{ none|lower }}",
    "generation": "{% for m in messages %}{% generation %}{{ m.content }}{% endgeneration %}{% endfor %}",
    "plain": CHAT,
}

# Limits that are named for excerpts which are rendered right all the same.
CASE = "limit: line 1: upper and lower case beyond ASCII"
LIMITS = {
    "set block": [CASE.replace("line 1", "line 2")],
    "filter block": [CASE],
    "selections": ["limit: line 1: filter first, should its subject be no list", CASE],
    "splits": [CASE],
    "slices": ["limit: line 1: a slice that drops characters beyond ASCII, should its subject be a string"],
    "joined values": [CASE],
}
