#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Compare the options in the table of conf_opts.c with those of the help, the manual and
# the completions: names, letters, values, defaults, and the program that an option is
# for. Each difference is a line of output, and at the end the number of options.
#
# usage: options.py TABLE HELP MANUAL BASH ZSH FISH
#
# TABLE is the output of "scripts/completion --list", BASH a list of words for each mode
# (see completion.t), the others are files as a user gets them.

import re
import sys

STOP = set('the of a an to is for or in else with one free only as it that at from '
           'per each least'.split())


class Place(dict):
    """Options by name, as one place shows them: (modes, letter, value, default)"""

    def __init__(self, title):
        super().__init__()
        self.title = title

    def put(self, name, modes, letter, arg, text=''):
        modes = tuple(modes)
        if name in self:
            modes = set(self[name][0]) | set(modes)
            if self[name][2] != arg:
                arg = 'in one program'
        self[name] = (tuple(sorted(modes)), letter, arg, text)


def words(text):
    """The words of a default that carry meaning"""
    return {w for w in re.findall(r"[a-z0-9_/.:+-]+", re.sub(r"'s\b", '', text.lower()))
            if w.strip('.:') not in STOP}


def read_table(path):
    table, hidden = Place('table'), set()
    for line in open(path, encoding='utf-8'):
        modes, letter, name, arg, state, default, text = line.rstrip('\n').split('\t')
        if state == 'hidden':
            hidden.add(name)
        else:
            table.put(name, modes.split(','), letter, arg, (default, text))
    return table, hidden


SECTIONS = {'Options': ('passt', 'pasta'), 'Options of passt': ('passt',),
            'Options of pasta': ('pasta',)}


def read_help(path):
    place = Place('help')
    modes, text, name = None, '', None
    for line in open(path, encoding='utf-8').read().split('\n'):
        head = re.match(r'(\S.*):$', line)
        entry = re.match(r'  (?:-(.), |    )--([a-z0-9-]+)(?: (\S+))?(?:  |$)', line)
        if head:
            modes = SECTIONS.get(head[1], head[1])
        elif entry and not isinstance(modes, str):
            name = entry[2]
            place.put(name, modes, entry[1] or '', entry[3] or '')
            text = line[30:]
        elif name:
            text += ' ' + line.strip()
        if name:
            default = re.search(r'\(default: (.*?)\)', text)
            place[name] = place[name][:3] + (default[1] if default else '',)
    return place


def plain(line):
    """A line of mdoc as text, with macros taken out"""
    line = line.replace('\\&', '').replace('\\e', '\\')
    if not line.startswith('.'):
        return line
    out = ''
    glue = True
    for w in line[1:].split(' ')[1:]:
        if w in ('Ns', 'Pf'):
            glue = True
        elif w == 'Op':
            out += '['
            glue = True
        elif not re.fullmatch(r'[A-Z][a-z]', w) or w == 'PID':
            out += ('' if glue else ' ') + w.strip('"')
            glue = False
    return out


def value(macros):
    """The value in a heading like ".It Fl a , -address Ar addr Ns Op / Ns Ar len" """
    arg = macros.partition(' Ar ')[2]
    optional = ' Op ' in arg
    parts = [w for w in arg.split() if not re.fullmatch(r'[A-Z][a-z]', w)]
    return (parts[0] + '[' + ''.join(parts[1:]) + ']' if optional else
            ''.join(parts)).upper()


def read_manual(path):
    place = Place('manual')
    modes, section, names, was_head = None, '', [], False
    for line in open(path, encoding='utf-8').read().split('\n'):
        if line.startswith('.\\"'):
            continue
        if line.startswith('.Sh '):
            section, names = line[4:], []
        if section != 'OPTIONS':
            continue
        if line.startswith('.Ss '):
            modes = {'Only for passt': ('passt',),
                     'Only for pasta': ('pasta',)}.get(line[4:], ('passt', 'pasta'))
            names = []
        elif line.startswith('.It Fl '):
            names = names if was_head else []
            # "l , -log-file Ar path", or several names
            spec = line[7:].partition(' Ar ')[0]
            found = [w.strip() for w in spec.split(' , ')]
            letter = found.pop(0) if len(found[0]) == 1 else ''
            for name in found:
                names.append(name[1:])
                place.put(name[1:], modes, letter, value(line))
        elif names:
            for name in names:
                place[name] = place[name][:3] + (place[name][3] + ' ' + plain(line),)
        was_head = line.startswith('.It Fl ')
    # An alias has the letter of the name before it
    if 'socket-path' in place:
        place['socket-path'] = place['socket-path'][:1] + ('s',) + place['socket-path'][2:]
    return place


def read_bash(path):
    """Lines: MODE NAME LETTER KIND, "-" for none"""
    place = Place('bash')
    for line in open(path, encoding='utf-8'):
        mode, name, letter, kind = line.split()
        place.put(name, [mode], letter.strip('-'), kind != '-')
    return place


def read_zsh(path):
    place, mode = Place('zsh'), None
    for line in open(path, encoding='utf-8'):
        head = re.match(r'\t(passt|pasta)\)$', line)
        if head:
            mode, letter = head[1], ''
        entry = re.match(r"\t\t'(?:\*|\([^)]*\))(--?)([a-z0-9-]+|[A-Z])([=+]?)"
                         r"\[((?:\\.|[^]\\])*)\](:.*)?'$", line)
        if not entry or not mode:
            continue
        if entry[1] == '-':
            letter = entry[2]
        else:
            place.put(entry[2], [mode], letter, bool(entry[5]), entry[4])
            letter = ''
    return place


def read_fish(path):
    place = Place('fish')
    for line in open(path, encoding='utf-8'):
        entry = re.match(r"complete -c (passt|pasta) -n \S+(?: -s (.))? -l (\S+)"
                         r"( -x| -r)?.* -d '(.*)'$", line)
        if entry:
            place.put(entry[3], [entry[1]], entry[2] or '', bool(entry[4]), entry[5])
    return place


def main():
    table, hidden = read_table(sys.argv[1])
    help_ = read_help(sys.argv[2])
    manual = read_manual(sys.argv[3])
    shells = [read_bash(sys.argv[4]), read_zsh(sys.argv[5]), read_fish(sys.argv[6])]

    for place in (help_, manual, *shells):
        for name in sorted(set(table) - set(place)):
            print(f'--{name} is missing in {place.title}')
        for name in sorted(set(place) - set(table)):
            print(f'--{name} is in {place.title}, but not in the table')
        for name in sorted(set(place) & set(table)):
            modes, letter, arg, (default, text) = table[name]
            alias = name == 'socket-path' and place.title == 'zsh'
            if sorted(place[name][0]) != sorted(modes):
                print(f'--{name} is for {" and ".join(place[name][0])} in {place.title}')
            if place[name][1] != letter and not alias:
                print(f'--{name} has letter {place[name][1]!r} in {place.title}')
            if place[name][2] != (bool(arg) if place in shells else arg):
                print(f'--{name} has value {place[name][2]!r} in {place.title}')
    for place in shells[1:]:
        for name in set(place) & set(table):
            text = re.sub(r"[\\']", '', place[name][3])
            if text != re.sub(r"[\\']", '', table[name][3][1]):
                print(f'--{name} has another description in {place.title}')
    for name in set(table) & set(help_) & set(manual):
        default, text = table[name][3]
        described = manual[name][3].lower()
        if help_[name][3] != default:
            print(f'--{name}: default {help_[name][3]!r} in help')
        other = re.search(r'(?:see|name of) --([a-z-]+)', text)
        if other and not default:
            default = table[other[1]][3][0]
        for w in words(default):
            if w not in described:
                print(f'--{name}: the manual says nothing of default "{w}"')
        if re.search(r'\bdefault(?! route| gateway)', described) and not default:
            print(f'--{name}: the manual has a default, and the help has none')
        if default and not re.search(r'\bdefault|\bwithout this option', described):
            print(f'--{name}: the manual does not say that "{default}" is a default')
    for place in (help_, manual, *shells):
        for name in sorted(hidden & set(place)):
            print(f'--{name} is for tests, and in {place.title}')
    print(len(table), 'options')


main()
