import { describe, expect, it } from 'vitest'
import { harmlessEmoji, harmlessName, harmlessText, shownNames, skeleton } from './harmless'
import { linkify } from './linkify'
import { delay, lasting, list, timeLeft } from './time'

describe('names', () => {
  it.each([
    ['alice', 'alice'],
    ['\u202Eecila', 'ecila'],
    ['a\u200Blice\u2066', 'alice'],
    ['\u3164\u200B', 'nameless'],
    ['', 'nameless'],
    ['ａｌｉｃｅ', 'alice'],
    ['  bob\n\nhosts now ', 'bob hosts now'],
    ['z' + '\u0300'.repeat(30), 'z\u0300\u0300'],
    ['👩‍👧', '👩‍👧'],
  ])('%j is shown as %j', (name, shown) => expect(harmlessName(name)).toBe(shown))

  it('are cut when they would push everything else away', () => {
    expect([...harmlessName('x'.repeat(500))]).toHaveLength(40)
  })

  it('of two people that look alike are told apart', () => {
    expect(skeleton('аlice')).toBe(skeleton('Alice'))
    const names = shownNames([
      { device: 'dev-1111', account: 'a', name: 'alice' },
      { device: 'dev-2222', account: 'b', name: 'аlice' },
      { device: 'dev-3333', account: 'c', name: 'bob' },
    ])
    expect([...names.values()]).toEqual(['alice · 1111', 'аlice · 2222', 'bob'])
  })

  it('of one person on two devices are not', () => {
    const names = shownNames([{ device: 'd1', account: 'a', name: 'alice' }, { device: 'd2', account: 'a', name: 'alice' }])
    expect([...names.values()]).toEqual(['alice', 'alice'])
  })
})

describe('text', () => {
  it('keeps its lines and loses what overrides the direction', () => {
    expect(harmlessText('a\n\tb\u202E\u0007c')).toBe('a\n\tbc')
  })
})

const links = (text: string) => linkify(text).flatMap((piece) => (piece.kind === 'link' ? [piece.text] : []))

describe('links', () => {
  it.each([
    ['see https://example.org/a?b=c#d.', ['https://example.org/a?b=c#d']],
    ['(https://en.example.org/wiki/Go_(game))', ['https://en.example.org/wiki/Go_(game)']],
    ['write to mailto:ann@example.org!', ['mailto:ann@example.org']],
    ['http://a.example, http://b.example', ['http://a.example', 'http://b.example']],
    ['javascript:alert(1) data:text/html,x file:///etc/passwd', []],
    ['https://bank.example@evil.example/', []],
    ['http:// https://', []],
    ['no links', []],
  ])('in %j are %j', (text, expected) => expect(links(text)).toEqual(expected))

  it('show a host in foreign letters as it is looked up', () => {
    expect(links('https://аpple.example/x')).toEqual(['https://xn--pple-43d.example/x'])
  })

  it('lose no character of the text around them', () => {
    const text = 'a https://x.example/, b <https://y.example> c'
    expect(linkify(text).map((piece) => piece.text).join('')).toBe(text)
  })
})

describe('delays and lists', () => {
  it.each([[0.31, '0.3 ms'], [9.94, '9.9 ms'], [12.4, '12 ms'], [1240, '1.2 s'], [null, 'unreachable'], [Infinity, 'unreachable']])(
    '%j is %j', (ms, words) => expect(delay(ms)).toBe(words),
  )
  it('reads as a sentence', () => expect([list([]), list(['Ann']), list(['Ann', 'Bo', 'Cy'])]).toEqual(['', 'Ann', 'Ann, Bo and Cy']))
})

describe('reactions', () => {
  it.each([
    ['👍', '👍'], ['👩🏽‍🚀', '👩🏽‍🚀'], ['❤️', '❤️'], ['🏳️‍🌈', '🏳️‍🌈'],
    ['👍\u202eabc', '👍abc'], ['☃'.repeat(60), '☃☃☃☃'], ['☃\u0000\n<b>', '☃<b>'],
  ])('%j is shown as %j', (emoji, shown) => expect(harmlessEmoji(emoji)).toBe(shown))
})

it.each([[1, '1 second'], [90, '90 seconds'], [3_600, '1 hour'], [86_400, '1 day'], [129_600, '36 hours'], [604_800, '1 week'], [1_209_600, '2 weeks']])(
  '%d seconds last %s', (seconds, words) => expect(lasting(seconds)).toBe(words),
)

it.each([[-5, ''], [0.5, ''], [59, '59 seconds'], [3_599, '59 minutes'], [90_000, '1 day'], [700_000, '1 week']])(
  'in %d seconds %j are left', (seconds, words) => expect(timeLeft(new Date(1_000_000 + seconds * 1_000).toISOString(), 1_000_000)).toBe(words),
)
