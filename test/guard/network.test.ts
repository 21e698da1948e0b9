import { coversHalfOfTheInternet } from '../../guard/network.ts';

describe('half of the internet or more', () => {
  it.each([
    [['0.0.0.0/0']],
    [['::/0']],
    [['0.0.0.0/1']],
    [['128.0.0.0/1']],
    [['::/1']],
    [['8000::/1']],
    [['2000::/3']],
    [['3000::/4']],
    [['10.0.0.0/8', '128.0.0.0/1']],
    [['0.0.0.0/2', '64.0.0.0/2']],
    [['0.0.0.0/2', '32.0.0.0/3', '64.0.0.0/3', '96.0.0.0/3']],
    [['2000::/5', '2800::/5']],
  ])('%j', (ranges) => {
    expect(coversHalfOfTheInternet(ranges)).toBe(true);
  });
});

describe('less', () => {
  it.each([
    [['10.0.0.0/8']],
    [['0.0.0.0/2']],
    [['0.0.0.0/2', '0.0.0.0/2', '10.0.0.0/8']],
    [['0.0.0.0/2', '64.0.0.0/3']],
    [['fd00::/8']],
    [['2001:db8::/32']],
    [['2000::/5', '0.0.0.0/2']],
    [['4000::/2']],
    [['203.0.113.7/32']],
  ])('%j', (ranges) => {
    expect(coversHalfOfTheInternet(ranges)).toBe(false);
  });

  it('nothing at all', () => expect(coversHalfOfTheInternet([])).toBe(false));
});

it('does not take what it cannot read for harmless', () => {
  expect(() => coversHalfOfTheInternet(['everywhere'])).toThrow();
});
