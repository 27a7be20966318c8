// Expressions with what jinja2 3.1.6 on Python 3.11 gives for them in the environment of transformers 4.57.

#include <gtest/gtest.h>

#include "base/error.h"
#include "jinja/chat.h"

namespace llm2mnn::jinja {
namespace {

constexpr std::string_view kVariables =
    R"({"s":"Hello, Wörld foo","d":{"b":1,"a":[1,2,{"k":"v"}],"items":3},"l":[3,1,2],"ws":" \u3000a\u2028 b\n",)"
    R"("ppl":[{"n":"Bob","a":3},{"n":"al","a":1},{"n":"bob","a":2}],"f":2.5,"big":9007199254740993,"neg":-7,)"
    R"("e":"","lines":"a\r\nb\u000bc\u2028d\n\ne"})";

ChatPrompt render(std::string_view source) {
  ChatInput input;
  input.messages =
      parse_json(R"([{"role":"user","content":"Hi there"},{"role":"assistant","content":"Bé"}])");
  input.variables = parse_json(kVariables).as_object();
  return render_chat(parse_template(source), input);
}

struct Case {
  const char* source;
  const char* text;
};

const Case kRendered[] = {
    {"{{ s.ljust(20) ~ '|' }}", "Hello, Wörld foo    |"},
    {"{{ s.rjust(20, '*') ~ '|' }}", "****Hello, Wörld foo|"},
    {"{{ s.center(21, '-') ~ '|' }}", "---Hello, Wörld foo--|"},
    {"{{ s.center(20) ~ '|' }}", "  Hello, Wörld foo  |"},
    {"{{ 'abc'.center(6) ~ '|' }}", " abc  |"},
    {"{{ 'abc'.center(5) ~ '|' }}", " abc |"},
    {"{{ 'ab'.center(5) ~ '|' }}", "  ab |"},
    {"{{ s.partition(',') }}", "('Hello', ',', ' Wörld foo')"},
    {"{{ s.rpartition('o') }}", "('Hello, Wörld fo', 'o', '')"},
    {"{{ s.partition('zz') }}", "('Hello, Wörld foo', '', '')"},
    {"{{ s.rpartition('zz') }}", "('', '', 'Hello, Wörld foo')"},
    {"{{ '42'.zfill(5) ~ '-42'.zfill(5) ~ '+4'.zfill(2) ~ ''.zfill(2) }}", "00042-0042+400"},
    {"{{ s.swapcase() }}", "hELLO, wÖRLD FOO"},
    {"{{ s.casefold() ~ 'Straße'.casefold() }}", "hello, wörld foostrasse"},
    {"{{ 'ß'.upper() ~ 'ß'.title() ~ 'ß'.capitalize() ~ 'straße'.title() }}", "SSSsSsStraße"},
    {"{{ \"they're bill's 3rd x2y\".title() }}", "They'Re Bill'S 3Rd X2Y"},
    {"{{ \"they're bill's-friend (foo) [bar] <b> {c}\"|title }}",
     "They're Bill's-Friend (Foo) [Bar] <B> {C}"},
    {"{{ s.count('o') ~ s.count('o', 5) ~ s.count('o', 5, -3) ~ s.count('') ~ s.count('', 3) ~ s.count('', "
     "30) }}",
     "32017140"},
    {"{{ s.find('o', 5) ~ ' ' ~ s.find('o', -3) ~ ' ' ~ s.rfind('o', 0, 8) ~ ' ' ~ s.find('', 30) ~ ' ' ~ "
     "s.find('rl') }}",
     "14 14 4 -1 9"},
    {"{{ s.find('o', none, 3) }}", "-1"},
    {"{{ s.startswith('ello', 1) ~ s.startswith(('x','H')) ~ s.endswith('foo', 0, -1) ~ s.endswith(('foo',)) "
     "~ s.startswith('', 99) }}",
     "TrueTrueFalseTrueFalse"},
    {"{{ s.split(maxsplit=1) ~ s.rsplit(None, 1) ~ s.rsplit(maxsplit=1) ~ ws.split() ~ ws.rsplit(none, 1) ~ "
     "'a b  c '.split(' ', 1) }}",
     "['Hello,', 'Wörld foo']['Hello, Wörld', 'foo']['Hello, Wörld', 'foo']['a', 'b'][' \\u3000a', 'b']['a', "
     "'b  c ']"},
    {"{{ s.split('o', maxsplit=1) ~ s.split(sep='o') }}",
     "['Hell', ', Wörld foo']['Hell', ', Wörld f', '', '']"},
    {"{{ 'a,b,c'.rsplit(',', 1) ~ 'a,b,c'.rsplit(',') ~ 'abc'.split('abc') }}",
     "['a,b', 'c']['a', 'b', 'c']['', '']"},
    {"{{ '  a b  '.split(none, 1) }}", "['a', 'b  ']"},
    {"{{ lines.splitlines() ~ lines.splitlines(true) ~ lines.splitlines(keepends=True) }}",
     "['a', 'b', 'c', 'd', '', 'e']['a\\r\\n', 'b\\x0b', 'c\\u2028', 'd\\n', '\\n', 'e']['a\\r\\n', "
     "'b\\x0b', 'c\\u2028', 'd\\n', '\\n', 'e']"},
    {"{{ lines|indent(2) }}", "a\n  b\n  c\n  d\n\n  e"},
    {"{{ lines|indent(2, true, true) }}", "  a\n  b\n  c\n  d\n  \n  e"},
    {"{{ 'a\\n\\nb\\n'|indent(width=3) }}", "a\n\n   b\n"},
    {"{{ 'a'|indent('>') }}", "a"},
    {"{{ e|indent(2,first=true) ~ '|' }}", "  |"},
    {"{{ 'aXbX'.replace('X','-',1) ~ 'abc'.replace('','-') ~ 'abc'.replace('','-',2) }}", "a-bX-a-b-c--a-bc"},
    {"{{ 'a1b1'|replace(1, 2) ~ (111|replace('1','x',2)) ~ ('abc'|replace('a', none)) ~ "
     "'aaa'|replace('a','b',count=2) }}",
     "a2b2xx1Nonebcbba"},
    {"{{ '-'.join(['a','b']) ~ '-'.join('abc') ~ '-'.join(d) }}", "a-ba-b-cb-a-items"},
    {"{{ '%s is %d' % ('x', 3.9) }}", "x is 3"},
    {"{{ '%5s|%-5s|%.2s|%05d|%+d|% d|%x|%X|%#x|%o|%e|%.2f|%g|%%' % "
     "('a','b','cde',42,5,6,255,255,255,8,1234.5,3.14159,1e10) }}",
     "    a|b    |cd|00042|+5| 6|ff|FF|0xff|10|1.234500e+03|3.14|1e+10|%"},
    {"{{ '%(a)s-%(b)05.1f' % {'a': 1, 'b': 2.25} }}", "1-002.2"},
    {"{{ '%s' % [1,2] }}", "[1, 2]"},
    {"{{ 'abc' % [] }}", "abc"},
    {"{{ 'abc' % {} }}", "abc"},
    {"{{ '%s' % undefinedx }}", ""},
    {"{{ '%d' % true }}", "1"},
    {"{{ '%r %a' % ('é', 'e') }}", "'é' 'e'"},
    {"{{ '%*d|%-*d|%.*f' % (5, 1, 5, 2, 2, 3.14159) }}", "    1|2    |3.14"},
    {"{{ '%c%c' % ('a', 'b') }}", "ab"},
    {"{{ '%f %F %E %G' % (1, 2.5, 3.0, 1e-10) }}", "1.000000 2.500000 3.000000E+00 1E-10"},
    {"{{ '%s'|format(5) ~ '%(x)s'|format(x=1) ~ ('%s %s'|format(1,2)) }}", "511 2"},
    {"{{ "
     "'{:>5}|{:<5}|{:^5}|{:*^7}|{:05d}|{:,}|{:.2f}|{:+d}|{:x}|{:#x}|{:b}|{:%}|{:e}'.format('a','b','c','d',"
     "42,1234567,3.14159,5,255,255,5,0.25,12345.678) }}",
     "    a|b    |  c  |***d***|00042|1,234,567|3.14|+5|ff|0xff|101|25.000000%|1.234568e+04"},
    {"{{ '{:5}|{:5}|{:05}|{!r:>6}|{!s:5}|{:.1}'.format('a', 1, -3, 'x', none, 'xyz') }}",
     "a    |    1|-0003|   'x'|None |x"},
    {"{{ '{:.2f}'.format(3) ~ '{:10}'.format(1.5) ~ '{:>10}'.format(true) ~ '{:d}'.format(true) ~ "
     "'{}'.format(true) ~ '{:08.3f}'.format(-3.14159) ~ '{:_}'.format(1234567) }}",
     "3.00       1.5         11True-003.1421_234_567"},
    {"{{ '{:.1f}{:.0f}{:.0f}'.format(0.25, 0.5, 1.5) }}", "0.202"},
    {"{{ '{:,.2f}'.format(1234567.891) }}", "1,234,567.89"},
    {"{{ 'é{:>4}'.format('é') }}", "é   é"},
    {"{{ 'ABC'.isupper() ~ 'ABc'.isupper() ~ 'a1'.islower() ~ '1'.islower() ~ 'é'.islower() ~ ''.isupper() "
     "}}",
     "TrueFalseTrueFalseTrueFalse"},
    {"{{ 'abc'.isalpha() ~ 'ab1'.isalnum() ~ '12'.isdigit() ~ '12'.isnumeric() ~ '12'.isdecimal() ~ "
     "'é'.isalpha() ~ ''.isdigit() ~ '٣'.isdigit() ~ '½'.isnumeric() }}",
     "TrueTrueTrueTrueTrueTrueFalseTrueTrue"},
    {"{{ 'a'.isascii() ~ 'é'.isascii() ~ ''.isascii() ~ 'a\\n'.isprintable() ~ ''.isprintable() ~ ' "
     "'.isspace() ~ '\\u00a0'.isspace() }}",
     "TrueFalseTrueFalseTrueTrueTrue"},
    {"{{ s.nothing }}", ""},
    {"{{ s.nothing is defined }}", "False"},
    {"{{ s.strip('Ho') ~ s.strip(none) ~ s.lstrip('leH') ~ s.rstrip('o') }}",
     "ello, Wörld fHello, Wörld fooo, Wörld fooHello, Wörld f"},
    {"{{ s|trim('Ho') ~ ws|trim ~ '|' }}", "ello, Wörld fa\342\200\250 b|"},
    {"{{ s|trim(none) ~ s|trim(chars='H') }}", "Hello, Wörld fooello, Wörld foo"},
    {"{{ s[0] ~ s[-1] ~ s[8] ~ s[99] ~ s[-99] }}", "Hoö"},
    {"{{ s[1:4] ~ s[::-1] ~ s[-3:] ~ s[:-3] ~ s[7:9] ~ s[::2] ~ s[5:1] ~ s[5:1:-2] }}",
     "elloof dlröW ,olleHfooHello, Wörld WöHlo öl o,l"},
    {"{{ s[1.5] }}", ""},
    {"{{ s['x'] }}", ""},
    {"{{ 5[0] }}", ""},
    {"{{ l[1:] ~ l[::-1] ~ (1,2,3)[1:] ~ range(5)[1] }}", "[1, 2][2, 1, 3](2, 3)1"},
    {"{{ range(5)[1:3]|list }}", "[1, 2]"},
    {"{{ range(3) }}", "range(0, 3)"},
    {"{{ range(1, 10, 3) }}", "range(1, 10, 3)"},
    {"{{ range(3)|list }}", "[0, 1, 2]"},
    {"{{ [range(3)] }}", "[range(0, 3)]"},
    {"{{ range(3) == range(0,3) }}", "True"},
    {"{{ range(3) == [0,1,2] }}", "False"},
    {"{{ range(3)|length ~ range(3)|first ~ range(3)|last ~ range(3)|sum ~ range(3)|join(',') ~ (2 in "
     "range(3)) ~ (range(0) is sequence) ~ (range(3) is iterable) }}",
     "30230,1,2TrueTrueTrue"},
    {"{{ range(3)|reverse|list }}", "[2, 1, 0]"},
    {"{% if range(0) %}a{% else %}b{% endif %}{% if {}.items() %}a{% else %}b{% endif %}", "bb"},
    {"{{ d.items() }}", "dict_items([('b', 1), ('a', [1, 2, {'k': 'v'}]), ('items', 3)])"},
    {"{{ d.keys() }}", "dict_keys(['b', 'a', 'items'])"},
    {"{{ d.values() }}", "dict_values([1, [1, 2, {'k': 'v'}], 3])"},
    {"{{ d.keys()|list ~ d.values()|list|length ~ d.items()|first }}", "['b', 'a', 'items']3('b', 1)"},
    {"{{ d.items()[0] }}", ""},
    {"{{ d.items() is sequence }}", "False"},
    {"{{ d.items() is iterable }}", "True"},
    {"{{ d.items() is mapping }}", "False"},
    {"{{ d.keys()|length ~ ('a' in d.keys()) ~ d.keys()|join }}", "3Truebaitems"},
    {"{{ d.items()|list|tojson }}", "[[\"b\", 1], [\"a\", [1, 2, {\"k\": \"v\"}]], [\"items\", 3]]"},
    {"{{ d.keys() == ['b'] }}", "False"},
    {"{{ d|items|list }}", "[('b', 1), ('a', [1, 2, {'k': 'v'}]), ('items', 3)]"},
    {"{{ d|dictsort ~ d|dictsort(reverse=true) }}",
     "[('a', [1, 2, {'k': 'v'}]), ('b', 1), ('items', 3)][('items', 3), ('b', 1), ('a', [1, 2, {'k': "
     "'v'}])]"},
    {"{{ {'B':1,'a':2}|dictsort ~ {'B':1,'a':2}|dictsort(true) ~ {'B':3,'a':2}|dictsort(false,'value') }}",
     "[('a', 2), ('B', 1)][('B', 1), ('a', 2)][('a', 2), ('B', 3)]"},
    {"{{ d.get('b') ~ d.get('x') ~ d.get('x', 1) }}", "1None1"},
    {"{{ d.copy() == d }}", "True"},
    {"{{ d.pop }}", ""},
    {"{{ l.index(1) ~ l.count(1) ~ l.copy() }}", "11[3, 1, 2]"},
    {"{{ {1: 2, none: 3, true: 4, 1.5: 5}|tojson }}", "{\"1\": 4, \"null\": 3, \"1.5\": 5}"},
    {"{{ {'b':1,'a':2}|tojson(sort_keys=true, indent=2) }}", "{\n  \"a\": 2,\n  \"b\": 1\n}"},
    {"{{ d|tojson(indent=2) ~ d|tojson(indent='\\t') ~ d|tojson(indent=0) ~ d|tojson(indent=-1) ~ "
     "d|tojson(separators=(',',':')) }}",
     "{\n  \"b\": 1,\n  \"a\": [\n    1,\n    2,\n    {\n      \"k\": \"v\"\n    }\n  ],\n  \"items\": "
     "3\n}{\n\t\"b\": 1,\n\t\"a\": [\n\t\t1,\n\t\t2,\n\t\t{\n\t\t\t\"k\": \"v\"\n\t\t}\n\t],\n\t\"items\": "
     "3\n}{\n\"b\": 1,\n\"a\": [\n1,\n2,\n{\n\"k\": \"v\"\n}\n],\n\"items\": 3\n}{\n\"b\": 1,\n\"a\": "
     "[\n1,\n2,\n{\n\"k\": \"v\"\n}\n],\n\"items\": 3\n}{\"b\":1,\"a\":[1,2,{\"k\":\"v\"}],\"items\":3}"},
    {"{{ d|tojson(indent=none) }}", "{\"b\": 1, \"a\": [1, 2, {\"k\": \"v\"}], \"items\": 3}"},
    {"{{ 'é\\x7f\\u2028🙂'|tojson ~ 'é\\x7f\\u2028🙂'|tojson(ensure_ascii=true) }}",
     "\"é\177\342\200\250🙂\"\"\\u00e9\\u007f\\u2028\\ud83d\\ude42\""},
    {"{{ [1.0, 1e20, 1e16, 0.1, 1e-5, -0.0]|tojson ~ [1.0, 1e20, 1e16, 0.1, 1e-5, -0.0] }}",
     "[1.0, 1e+20, 1e+16, 0.1, 1e-05, -0.0][1.0, 1e+20, 1e+16, 0.1, 1e-05, -0.0]"},
    {"{{ 'a\\u00a0b\\u2028c\\x7f\\x00\\x1f\\u200b🙂'|list }}",
     "['a', '\\xa0', 'b', '\\u2028', 'c', '\\x7f', '\\x00', '\\x1f', '\\u200b', '🙂']"},
    {"{{ ['\\u00a0', \"it's\", 'a\"b\\'', '\\\\'] }}", "['\\xa0', \"it's\", 'a\"b\\'', '\\\\']"},
    {"{{ 5|int ~ '5'|int ~ ' 12 '|int ~ '+5'|int ~ '+-5'|int ~ '-5'|int ~ '1_000'|int ~ '1__0'|int ~ "
     "'_1'|int }}",
     "551250-5100000"},
    {"{{ '0x1f'|int(base=16) ~ ' ' ~ '1f'|int(0,16) ~ ' ' ~ 'z'|int(base=36) ~ ' ' ~ '0b11'|int(base=0) ~ ' "
     "' ~ '010'|int(base=0) ~ ' ' ~ '077'|int(base=8) ~ ' ' ~ '0o7'|int(base=8) }}",
     "31 31 35 3 10 63 7"},
    {"{{ '3.7'|int ~ ' ' ~ '1e3'|int ~ ' ' ~ 'x'|int(7) ~ ' ' ~ none|int ~ ' ' ~ 2.9|int ~ ' ' ~ -2.9|int ~ "
     "' ' ~ [1]|int(-1) ~ ' ' ~ true|int ~ ' ' ~ 'nan'|int ~ ' ' ~ 'inf'|int ~ ' ' ~ ''|int }}",
     "3 1000 7 0 2 -2 -1 1 0 0 0"},
    {"{{ '1.5'|float ~ ' ' ~ '1_0.5'|float ~ ' ' ~ '-inf'|float ~ ' ' ~ 'nan'|float ~ ' ' ~ 'x'|float ~ ' ' "
     "~ '+1'|float ~ ' ' ~ '+-1'|float ~ ' ' ~ none|float(3) ~ ' ' ~ '.5'|float ~ ' ' ~ '5.'|float ~ ' ' ~ "
     "'1e5'|float ~ ' ' ~ '1e_5'|float ~ ' ' ~ '1_e5'|float ~ ' ' ~ 'infinity'|float ~ ' ' ~ '0x10'|float }}",
     "1.5 10.5 -inf nan 0.0 1.0 0.0 3 0.5 5.0 100000.0 0.0 0.0 inf 0.0"},
    {"{{ 1|round ~ ' ' ~ 2.5|round ~ ' ' ~ 3.5|round ~ ' ' ~ 42.55|round(1) ~ ' ' ~ 2.675|round(2) ~ ' ' ~ "
     "42.55|round(1,'floor') ~ ' ' ~ 42.1|round(0,'ceil') ~ ' ' ~ 5|round(1,'ceil') ~ ' ' ~ true|round ~ ' ' "
     "~ 1.5|round(3) ~ ' ' ~ 2.5|round|int }}",
     "1 2.0 4.0 42.5 2.67 42.5 43.0 5.0 1 1.5 2"},
    {"{{ -5|abs ~ -2.5|abs ~ true|abs }}", "52.51"},
    {"{{ 'a b, c_d é-f'|wordcount ~ ''|wordcount }}", "50"},
    {"{{ [1,2,3,4,5]|batch(2)|list ~ [1,2,3,4,5]|batch(2,'x')|list ~ [1,2,3,4,5]|batch(2, fill_with=0)|list "
     "}}",
     "[[1, 2], [3, 4], [5]][[1, 2], [3, 4], [5, 'x']][[1, 2], [3, 4], [5, 0]]"},
    {"{{ [1,2,3,4,5]|slice(2)|list ~ [1,2,3,4,5]|slice(3,'x')|list ~ [1,2,3]|slice(5)|list ~ "
     "[1,2,3]|slice(5, 0)|list }}",
     "[[1, 2, 3], [4, 5]][[1, 2], [3, 4], [5, 'x']][[1], [2], [3], [], []][[1], [2], [3], [0], [0]]"},
    {"{{ ppl|groupby('n') }}",
     "[('al', [{'n': 'al', 'a': 1}]), ('Bob', [{'n': 'Bob', 'a': 3}, {'n': 'bob', 'a': 2}])]"},
    {"{% for g in ppl|groupby('n') %}{{ g.grouper }}:{{ g.list|length }}:{{ g[0] }};{% endfor %}{% for k, v "
     "in ppl|groupby('n', case_sensitive=true) %}{{ k }}{{ v|length }}{% endfor %}",
     "al:1:al;Bob:2:Bob;Bob1al1bob1"},
    {"{{ ppl|groupby('x', default='q') }}",
     "[('q', [{'n': 'Bob', 'a': 3}, {'n': 'al', 'a': 1}, {'n': 'bob', 'a': 2}])]"},
    {"{{ ppl|groupby('a')|map(attribute='grouper')|list }}", "[1, 2, 3]"},
    {"{{ ppl|sort(attribute='n') ~ ppl|sort(attribute='n', case_sensitive=true) ~ ppl|sort(attribute='n,a') "
     "~ ppl|sort(true, attribute='a') }}",
     "[{'n': 'al', 'a': 1}, {'n': 'Bob', 'a': 3}, {'n': 'bob', 'a': 2}][{'n': 'Bob', 'a': 3}, {'n': 'al', "
     "'a': 1}, {'n': 'bob', 'a': 2}][{'n': 'al', 'a': 1}, {'n': 'bob', 'a': 2}, {'n': 'Bob', 'a': 3}][{'n': "
     "'Bob', 'a': 3}, {'n': 'bob', 'a': 2}, {'n': 'al', 'a': 1}]"},
    {"{{ [3,1,2]|sort ~ ['b','A','a']|sort ~ ['b','A']|sort(case_sensitive=true) ~ "
     "['b','A','c']|sort(reverse=true) }}",
     "[1, 2, 3]['A', 'a', 'b']['A', 'b']['c', 'b', 'A']"},
    {"{{ ppl|map(attribute='n')|list ~ ppl|map(attribute='x', default='q')|list ~ ppl|map('length')|list }}",
     "['Bob', 'al', 'bob']['q', 'q', 'q'][2, 2, 2]"},
    {"{{ ppl|sum(attribute='a') ~ [1.5,2]|sum ~ [[1],[2]]|sum(start=[]) }}", "63.5[1, 2]"},
    {"{{ ppl|max(attribute='a') ~ ppl|min(attribute='n') ~ []|max ~ ['a','B']|max ~ "
     "['a','B']|min(case_sensitive=true) }}",
     "{'n': 'Bob', 'a': 3}{'n': 'al', 'a': 1}BB"},
    {"{{ ppl|unique(attribute='n')|list ~ [1,1.0,true,2]|unique|list ~ ['a','A']|unique|list ~ "
     "['a','A']|unique(true)|list }}",
     "[{'n': 'Bob', 'a': 3}, {'n': 'al', 'a': 1}][1, 2]['a']['a', 'A']"},
    {"{{ ppl|selectattr('a','gt',1)|list ~ ppl|selectattr('a')|list|length ~ "
     "ppl|rejectattr('n','equalto','Bob')|map(attribute='a')|list }}",
     "[{'n': 'Bob', 'a': 3}, {'n': 'bob', 'a': 2}]3[1, 2]"},
    {"{{ ppl|selectattr('n')|first }}", "{'n': 'Bob', 'a': 3}"},
    {"{{ ppl|select('mapping')|list|length }}", "3"},
    {"{{ [1,2,3]|select('odd')|list ~ [1,2,3]|reject('divisibleby', 3)|list ~ [0,1]|select|list }}",
     "[1, 3][1, 2][1]"},
    {"{% set g = [1,2,3]|map('int') %}{{ g|first }}{{ g|first }}{{ g|list }}{{ g|list }}", "12[3][]"},
    {"{% set g = [1,2,3]|map('int') %}{{ 2 in g }}{{ g|list }}", "True[3]"},
    {"{{ l|first ~ l|last ~ s|first ~ s|last ~ d|first ~ d|last ~ ''|first ~ []|last }}", "32Hobitems"},
    {"{{ undefinedx|first ~ undefinedx|last ~ undefinedx|length ~ undefinedx|list ~ undefinedx|join ~ "
     "undefinedx|upper }}",
     "0[]"},
    {"{{ l|reverse|list ~ s|reverse ~ d|reverse|list }}", "[2, 1, 3]oof dlröW ,olleH['items', 'a', 'b']"},
    {"{{ l|join(', ') ~ ppl|join(',', attribute='n') ~ [none, true, 1.0]|join('-') ~ l|join(none) }}",
     "3, 1, 2Bob,al,bobNone-True-1.03None1None2"},
    {"{{ s|capitalize ~ s|upper ~ s|lower ~ 5|upper ~ none|lower }}",
     "Hello, wörld fooHELLO, WÖRLD FOOhello, wörld foo5none"},
    {"{{ 'ǆ'|upper ~ 'ǆ'.title() ~ 'ǆ'.capitalize() }}", "Ǆǅǅ"},
    {"{{ s|truncate(9) ~ s|truncate(9, true) ~ s|truncate(11) ~ s|truncate(9, end='', leeway=0) ~ "
     "s|truncate(5, false, '…', 0) }}",
     "Hello,...Hello,...Hello, Wörld fooHello,Hell…"},
    {"{{ s|center(30) ~ '|' ~ s|center ~ '|' }}",
     "       Hello, Wörld foo       |                                Hello, Wörld foo                        "
     "        |"},
    {"{{ 'a b/é?&=~'|urlencode ~ 5|urlencode }}", "a%20b/%C3%A9%3F%26%3D~5"},
    {"{{ s|string ~ 5|string ~ none|string }}", "Hello, Wörld foo5None"},
    {"{{ '<'|e ~ '<'|escape ~ ('<'|safe|e) ~ ('<'|e|e) ~ ('<'|safe|forceescape) }}", "&lt;&lt;<&lt;&lt;"},
    {"{{ ('<'|safe)|upper + '<' }}", "<&lt;"},
    {"{{ ('<'|safe).strip() + '<' }}", "<&lt;"},
    {"{{ ('<'|safe)[0] + '<' }}", "<&lt;"},
    {"{{ ('<'|safe)[0:1] + '<' }}", "<&lt;"},
    {"{{ ('<'|safe) * 2 + '<' }}", "<<&lt;"},
    {"{{ ('<'|safe)|indent + '<' }}", "<&lt;"},
    {"{{ ('<'|safe)|trim + '<' }}", "<&lt;"},
    {"{{ ('<'|safe)|title + '<' }}", "<<"},
    {"{{ ('<'|safe)|replace('a','b') + '<' }}", "<<"},
    {"{{ ('<'|safe)|string + '<' }}", "<&lt;"},
    {"{{ ('<'|safe) ~ '<' }}", "<<"},
    {"{{ '{}'.format('<'|safe) + '<' }}", "<<"},
    {"{{ ['<'|safe, '<']|join + '<' }}", "<<<"},
    {"{{ ('<a b>'|safe).split()[0] + '<' }}", "<a&lt;"},
    {"{{ ('<'|safe) is escaped }}", "True"},
    {"{{ 'x'|default('y') ~ undefinedx|default('y') ~ ''|default('y', true) ~ undefinedx|default ~ "
     "none|default('z', boolean=true) ~ undefinedx|default(boolean=true) ~ "
     "undefinedx|default(default_value='k') }}",
     "xyyzk"},
    {"{{ 1/2 ~ 7//2 ~ -7//2 ~ -7%3 ~ 7%-3 ~ 7.5//2 ~ -7.5%2 ~ 7.5%-2 ~ 2**10 ~ 2**-1 ~ 2.0**3 ~ 0.1+0.2 ~ "
     "5.0%5 ~ -5.0%5 ~ -0.0 }}",
     "0.53-42-23.00.5-0.510240.58.00.10.20.00.0-0.0"},
    {"{{ -f ~ +f ~ -true ~ -neg ~ -0.0 }}", "-2.52.5-17-0.0"},
    {"{{ 'a' * 3 ~ 3 * 'a' ~ [1] * 2 ~ 'a' * -1 }}", "aaaaaa[1, 1]"},
    {"{{ (1,) + (2,) }}", "(1, 2)"},
    {"{{ 'a' ~ undefinedx }}", "a"},
    {"{{ 'a' in 'abc' ~ (1 in [1]) ~ ('a' in d) ~ ('x' not in undefinedx) }}", "True"},
    {"{{ 2.5 is even }}", "False"},
    {"{{ 2 is even ~ 3 is odd ~ -1 is odd ~ 4 is divisibleby(2) ~ 2.0 is even }}", "TrueTrueTrueTrueTrue"},
    {"{{ 1 is eq(1) ~ (1 is ne 2) ~ (1 is lt(2)) ~ (1 is in([1])) ~ (1 is sameas(1)) ~ (true is "
     "sameas(true)) }}",
     "TrueTrueTrueTrueTrueTrue"},
    {"{{ true is integer ~ (true is number) ~ (1.5 is float) ~ (true is boolean) ~ (1 is integer) ~ (1 is "
     "true) ~ (true is true) }}",
     "FalseTrueTrueTrueTrueFalseTrue"},
    {"{{ 'abc' is lower ~ ('ABC' is upper) ~ ('1' is lower) ~ ('Abc' is lower) ~ (5 is lower) }}",
     "TrueTrueFalseFalseFalse"},
    {"{{ range is callable ~ (undefinedx is callable) ~ (1 is callable) }}", "TrueTrueFalse"},
    {"{{ 'upper' is filter ~ ('nofilter' is filter) ~ ('odd' is test) ~ ('==' is test) ~ ('xml' is test) ~ "
     "('wordwrap' is filter) }}",
     "TrueFalseTrueTrueFalseTrue"},
    {"{{ undefinedx is none ~ (undefinedx is iterable) ~ (undefinedx is sequence) ~ (undefinedx is mapping) "
     "~ (undefinedx == undefinedy) }}",
     "FalseTrueTrueFalseTrue"},
    {"{{ none.x }}", ""},
    {"{{ 5.5.x }}", ""},
    {"{{ (5).foo }}", ""},
    {"{{ d['items'] }}", "3"},
    {"{{ l['append'] }}", ""},
    {"{{ ''.__class__ }}", ""},
    {"{% macro f(a, b='B') %}{{ a }}{{ b }}{% endmacro %}{{ f(1) }}{{ f(1, 2) }}{{ f(b=1, a=2) }}{{ f() }}",
     "1B1221B"},
    {"{% macro f(a) %}{{ a }}{{ kwargs }}{% endmacro %}{{ f(1, c=2) }}", "1{'c': 2}"},
    {"{% macro f(a) %}{{ a }}{{ varargs }}{% endmacro %}{{ f(1, 2, 3) }}", "1(2, 3)"},
    {"{% macro f(a) %}{{ a }}{{ caller() }}{% endmacro %}{% call f(1) %}x{% endcall %}", "1x"},
    {"{% macro f(a) %}{{ a }}{{ caller(1) }}{% endmacro %}{% call(q) f(1) %}x{{ q }}{% endcall %}", "1x1"},
    {"{% macro f(a) %}{% if caller is defined %}c{% else %}n{% endif %}{{ a }}{% endmacro %}{{ f(1) }}",
     "n1"},
    {"{% macro f(kwargs=1) %}{{ kwargs }}{% endmacro %}{{ f() }}{{ f(kwargs=2) }}", "12"},
    {"{% set ns = namespace(a=1) %}{{ ns.a }}{{ ns.b }}{{ ns['a'] }}", "11"},
    {"{% set ns = namespace({'a': 2}, b=3) %}{{ ns.a }}{{ ns.b }}", "23"},
    {"{% for i in l %}{{ loop.index }}{{ loop.cycle('a','b') }}{{ loop.changed(i) }}{{ loop.nextitem }}{{ "
     "loop.foo }}{% endfor %}",
     "1aTrue12bTrue23aTrue"},
    {"{{ dict(a=1, b=2) ~ dict([(1,2)]) ~ dict({'x': 1}, y=2) }}", "{'a': 1, 'b': 2}{1: 2}{'x': 1, 'y': 2}"},
    {"{{ 'a' if false }}", ""},
    {"{{ ('a' if false) is undefined }}", "True"},
    {"{{ [1,2,3][undefinedx] }}", ""},
    {"{{ d[undefinedx] }}", ""},
    {"{{ d|attr('b') }}", ""},
    {"{{ ppl|attr('foo') }}", ""},
    {"{{ namespace(a=1)|attr('a') }}", "1"},
    {"{{ [1,2]|list + [3] }}", "[1, 2, 3]"},
    {"{{ (messages|map(attribute='role'))|join }}", "userassistant"},
    {"{{ messages|tojson }}",
     "[{\"role\": \"user\", \"content\": \"Hi there\"}, {\"role\": \"assistant\", \"content\": \"Bé\"}]"},
    {"{{ [true, none, 1.5, 'a', (1,), {'a': (1,2)}] }}", "[True, None, 1.5, 'a', (1,), {'a': (1, 2)}]"},
    {"{{ [undefinedx] }}", "[Undefined]"},
    {"{{ {'a': undefinedx} }}", "{'a': Undefined}"},
    {"{{ true ~ none ~ 1.0 ~ 1e100 ~ 123456789.123 }}", "TrueNone1.01e+100123456789.123"},
    {"{{ 1e16 ~ ' ' ~ 1e15 ~ ' ' ~ 123456789012345680.0 ~ ' ' ~ 0.0001 ~ ' ' ~ 0.00001 }}",
     "1e+16 1000000000000000.0 1.2345678901234568e+17 0.0001 1e-05"},
    {"{% set x = none %}{{ x[0] }}", ""},
};

TEST(Evaluator, RendersAsPython) {
  for (const Case& test : kRendered) {
    const ChatPrompt prompt = render(test.source);
    EXPECT_FALSE(prompt.refused) << test.source << ": " << prompt.text;
    EXPECT_EQ(prompt.text, test.text) << test.source;
  }
}

const char* const kRefused[] = {
    "{{ 'a'.ljust(3,'xy') }}",
    "{{ s.partition('') }}",
    "{{ s.index('zz') }}",
    "{{ s.startswith(['H']) }}",
    "{{ s.split('') }}",
    "{{ s.split(1) }}",
    "{{ s.split(undefinedx) }}",
    "{{ 5|indent }}",
    "{{ none|indent }}",
    "{{ 'abc'.replace('a') }}",
    "{{ 'abc'.replace('a', 1) }}",
    "{{ 'abc'|replace('a') }}",
    "{{ '-'.join([1]) }}",
    "{{ '-'.join(none) }}",
    "{{ '%s %s' % [1,2] }}",
    "{{ 'abc' % 5 }}",
    "{{ 'abc' % 'x' }}",
    "{{ '%d' % 'x' }}",
    "{{ '%y' % 1 }}",
    "{{ '%' % 1 }}",
    "{{ '%s'|format(1, x=2) }}",
    "{{ '{:5}'.format(none) }}",
    "{{ '{:d}'.format('x') }}",
    "{{ '{} {0}'.format(1) }}",
    "{{ '{'.format(1) }}",
    "{{ '}'.format(1) }}",
    "{{ '{x}'.format(1) }}",
    "{{ '{}'.format() }}",
    "{{ '{:q}'.format(1) }}",
    "{{ s.upper(1) }}",
    "{{ s.strip(1) }}",
    "{{ s['a':] }}",
    "{{ s[::0] }}",
    "{{ d[1:] }}",
    "{{ range(3) + [1] }}",
    "{{ range(3)|tojson }}",
    "{{ d.keys()|tojson }}",
    "{{ d|dictsort(by='value') }}",
    "{{ d|dictsort(by='x') }}",
    "{{ d.get('x', default=1) }}",
    "{{ d.get() }}",
    "{{ d.get([1]) }}",
    "{{ d.get('b', 1, 2) }}",
    "{{ d.items(1) }}",
    "{{ d.pop('a') }}",
    "{{ l.append(1) }}",
    "{{ l.index(9) }}",
    "{{ [1] in {} }}",
    "{{ {[1]: 2} }}",
    "{{ {(1,[2]): 3} }}",
    "{{ {(1,2): 3}|tojson }}",
    "{{ d|tojson(separators=[',']) }}",
    "{{ undefinedx|int }}",
    "{{ undefinedx|float }}",
    "{{ 1.5|round(1,'x') }}",
    "{{ '1'|round }}",
    "{{ 'x'|abs }}",
    "{{ [1,'a']|sort }}",
    "{{ ppl|map(attribute='n', x=1)|list }}",
    "{{ ppl|map('nofilter')|list }}",
    "{{ ['a']|sum }}",
    "{{ ['a']|sum(start='') }}",
    "{{ [[1],[1]]|unique|list }}",
    "{{ ppl|selectattr('n')|last }}",
    "{{ ppl|selectattr('n')|length }}",
    "{{ 5|first }}",
    "{{ l|reverse|length }}",
    "{{ 5|reverse }}",
    "{{ s|truncate(2) }}",
    "{{ s|nofilter }}",
    "{{ 1/0 }}",
    "{{ 1.0//0 }}",
    "{{ 1%0 }}",
    "{{ 1.5%0 }}",
    "{{ 0**-1 }}",
    "{{ 10.0**400 }}",
    "{{ -'a' }}",
    "{{ +'a' }}",
    "{{ 'a' * 1.5 }}",
    "{{ 'a' + 1 }}",
    "{{ [1] + (2,) }}",
    "{{ undefinedx + 1 }}",
    "{{ 'a' + undefinedx }}",
    "{{ 1 + undefinedx }}",
    "{{ 1 < 2 < 3 ~ (1 == 1.0) ~ (true == 1) ~ ('a' < 'b') ~ ([1,2] < [1,3]) ~ (none == none) ~ ('nan'|float "
    "<= 1) }}",
    "{{ 1 < 'a' }}",
    "{{ none < none }}",
    "{{ {} < {} }}",
    "{{ 1 in 'abc' }}",
    "{{ 1 in 5 }}",
    "{{ 'a' is even }}",
    "{{ none is even }}",
    "{{ 4 is divisibleby(0) }}",
    "{{ 4 is divisibleby }}",
    "{{ 1 is defined(1) }}",
    "{{ 1 is eq }}",
    "{{ 1 is nothing }}",
    "{{ undefinedx.x }}",
    "{{ undefinedx[0] }}",
    "{{ undefinedx[1:] }}",
    "{{ undefinedx() }}",
    "{{ none.x.y }}",
    "{{ d.__class__.x }}",
    "{% macro f(a) %}{{ a }}{% endmacro %}{{ f(1, 2) }}",
    "{% macro f(a) %}{{ a }}{% endmacro %}{{ f(1, c=2) }}",
    "{% macro f(a) %}{{ a }}{{ varargs }}{% endmacro %}{{ f(1, 2, c=3) }}",
    "{% macro f(a) %}{{ a }}{% endmacro %}{{ f(1, a=3) }}",
    "{% macro f(a) %}{{ a }}{% endmacro %}{% call f(1) %}x{% endcall %}",
    "{% macro f(a) %}{{ a }}{{ caller(1) }}{% endmacro %}{% call f(1) %}x{% endcall %}",
    "{% macro f(a) %}{{ a }}{{ caller() }}{% endmacro %}{{ f(1) }}",
    "{% set ns = namespace(1) %}",
    "{% for i in l %}{% set loop.x = 1 %}{% endfor %}",
    "{{ dict({}, {}) }}",
    "{{ raise_exception('x') }}",
    "{{ raise_exception() }}",
    "{{ [undefinedx]|tojson }}",
    "{% set x = none %}{{ x[1:] }}",
    "{% set x = 5 %}{{ x[1:] }}",
};

TEST(Evaluator, RefusesWherePythonRaises) {
  for (const char* source : kRefused)
    EXPECT_TRUE(render(source).refused) << source;
}

// Python renders these.
const char* const kUnsupported[] = {
    "{{ '{0.x}'.format(1) }}",
    "{{ '{:{}}'.format(1, 5) }}",
    "{{ '{0:>{1}}'.format('a', 4) }}",
    "{{ '{!x}'.format(1) }}",
    "{{ '²'.isdigit() }}",
    "{{ 'a b'.istitle() }}",
    "{{ s.encode() }}",
    "{{ range(5)[1:3] }}",
    "{{ range(3)|reverse }}",
    "{{ d|items }}",
    "{{ d.fromkeys }}",
    "{{ l.index(1, 2) }}",
    "{{ d|tojson(indent=1.5) }}",
    "{{ '٣'|int }}",
    "{{ '99999999999999999999'|int }}",
    "{{ 99999999999999999999 }}",
    "{{ 9223372036854775807 + 1 }}",
    "{{ 2 ** 64 }}",
    "{{ 123|round(-1) }}",
    "{{ [1]|batch(2) }}",
    "{{ ppl|map }}",
    "{{ ppl|selectattr('n') }}",
    "{{ l|reverse }}",
    "{{ 'ΑΣ'|lower }}",
    "{{ 'İ'|lower }}",
    "{{ 'ŉ'|upper }}",
    "{{ d|urlencode }}",
    "{{ s|wordwrap(5) }}",
    "{{ '<b>x</b>'|striptags }}",
    "{{ s|pprint }}",
    "{{ 123|filesizeformat }}",
    "{{ ('<'|safe).replace('<', '>') + '<' }}",
    "{{ ('%s'|safe) % '<' }}",
    "{{ ('{}'|safe).format('<') }}",
    "{{ (-8)**0.5 }}",
    "{{ 'a' * 1000000000 }}",
    "{{ big / 1 }}",
    "{{ big + 0.5 }}",
    "{{ (5).real }}",
    "{{ l.foo ~ d.foo ~ d['foo'] ~ d.items ~ '' }}",
    "{% macro f(a) %}{{ a }}{% endmacro %}{{ f }}",
    "{% macro f(a) %}{{ a }}{% endmacro %}{{ f.name }}",
    "{% set ns = namespace(a=1) %}{{ ns }}",
    "{% for i in l %}{{ loop }}{% endfor %}",
    "{% for i in l %}{{ loop|length }}{% endfor %}",
    "{% set c = cycler('a','b') %}{{ c.next() }}{{ c.next() }}{{ c.next() }}{{ c.current }}",
    "{% set j = joiner('-') %}{{ j() }}{{ j() }}{{ j }}",
    "{{ lipsum() }}",
    "{% with a=1 %}{{ a }}{% endwith %}",
    "{% macro f(a, b) %}{{ a }}{{ b }}{% endmacro %}{{ f(*[1,2]) }}",
    "{{ d|attr('items') }}",
    "{{ s|attr('upper') }}",
    "{{ '%5%' % () }}",
};

TEST(Evaluator, SaysWhatItLacks) {
  for (const char* source : kUnsupported) {
    try {
      const ChatPrompt prompt = render(source);
      ADD_FAILURE() << source << ": " << prompt.text;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kUnsupported) << source;
    }
  }
}

}  // namespace
}  // namespace llm2mnn::jinja
