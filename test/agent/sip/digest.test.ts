import { describe, expect, test } from 'vitest';
import { authorize, DigestSession, parseChallenges, type Demand } from '../../../agent/sip/digest.ts';

const mufasa = { username: 'Mufasa', password: 'Circle of Life' };

function challenge(status: 401 | 407, value: string): Demand {
  const header = status === 407 ? 'Proxy-Authenticate' : 'WWW-Authenticate';
  return { status, get: (name) => (name === header ? value : undefined) };
}

describe('the response', () => {
  test('is that of RFC 7616 section 3.9.1, with MD5 and with SHA-256', () => {
    const value =
      'Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm=MD5, ' +
      'nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS", ' +
      'Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm=SHA-256, ' +
      'nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"';
    const request = {
      method: 'GET',
      uri: '/dir/index.html',
      count: 1,
      cnonce: 'f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ',
    };
    const responses = parseChallenges(value).map(
      (each) => /response="([0-9a-f]+)"/u.exec(authorize(each, mufasa, request))?.[1],
    );
    expect(responses).toEqual([
      '753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1',
      '8ca523f5e9506fed4657c9700eebdbec',
    ]);
  });

  test('is that of RFC 2617 section 3.5 where it says auth, and needs no cnonce where no qop is offered', () => {
    const nonce = 'dcd98b7102dd2f0e8b11d0f600bfb0c093';
    const request = { method: 'GET', uri: '/dir/index.html', count: 1, cnonce: '0a4f113b' };
    const [withQop] = parseChallenges(`Digest realm="testrealm@host.com", qop="auth", nonce="${nonce}"`);
    const [without] = parseChallenges(`DIGEST realm="testrealm@host.com",nonce="${nonce}",algorithm=md5`);
    const credentials = { username: 'Mufasa', password: 'Circle Of Life' };
    expect(authorize(withQop!, credentials, request)).toContain(
      'response="6629fae49393a05397450978507c4ef1"',
    );
    expect(authorize(without!, credentials, request)).toContain(
      'response="670fd8c2df070c60b045671b8b24ff02"',
    );
    expect(authorize(without!, credentials, request)).not.toContain('cnonce');
  });
});

describe('challenges', () => {
  test.each([
    ['another scheme', 'Basic realm="a"', []],
    ['an algorithm of nobody', 'Digest realm="a", nonce="n", algorithm=ROT13', []],
    ['integrity only', 'Digest realm="a", nonce="n", qop="auth-int"', []],
    ['no nonce', 'Digest realm="a"', []],
    ['a comma and a quote in the realm', String.raw`Digest realm="a, \"b\"", nonce="n"`, ['a, "b"']],
    ['two schemes', 'Basic realm="x", Digest realm="a", nonce="n", stale=TRUE', ['a']],
    ['nonsense', '=,=,"', []],
    ['an open quote', 'Digest realm="a', []],
  ])('%s', (_name, value, realms) => {
    expect(parseChallenges(value).map(({ realm }) => realm)).toEqual(realms);
  });
});

describe('a dialog that we started', () => {
  const first = challenge(407, 'Digest realm="pbx", nonce="one", qop="auth"');

  test('signs everything after its first challenge, and counts', () => {
    const session = new DigestSession(mufasa);
    expect(session.sign('INVITE', 'sip:a@b')).toEqual({});
    expect(session.challenged(first, true)).toBe(true);
    expect(session.sign('INVITE', 'sip:a@b')['Proxy-Authorization']).toContain('nc=00000001');
    const bye = session.sign('BYE', 'sip:a@b')['Proxy-Authorization'];
    expect(bye).toContain('nc=00000002');
    expect(bye).toContain('uri="sip:a@b"');
  });

  test('tries a refused password once', () => {
    const session = new DigestSession(mufasa);
    session.challenged(first, true);
    expect(session.challenged(challenge(407, 'Digest realm="pbx", nonce="two", qop="auth"'), true)).toBe(
      false,
    );
    expect(
      session.challenged(challenge(407, 'Digest realm="pbx", nonce="two", stale=true, qop="auth"'), true),
    ).toBe(true);
  });

  test('takes a new nonce within the dialog, and the same nonce twice never', () => {
    const session = new DigestSession(mufasa);
    session.challenged(first, true);
    expect(session.challenged(first, false)).toBe(false);
    expect(session.challenged(challenge(407, 'Digest realm="pbx", nonce="two", qop="auth"'), false)).toBe(
      true,
    );
  });

  test.each([
    ['of another realm', challenge(407, 'Digest realm="thief", nonce="n", qop="auth"')],
    ['by another scheme', challenge(401, 'Basic realm="pbx"')],
    ['without a header', { status: 401, get: () => undefined }],
    ['with another status', { status: 403, get: () => 'Digest realm="pbx", nonce="n"' }],
  ])('gives nothing to a challenge %s', (_name, demand) => {
    const session = new DigestSession(mufasa);
    session.challenged(first, true);
    expect(session.challenged(demand, false)).toBe(false);
  });

  test('whose INVITE nobody challenged gives nothing to who challenges its BYE', () => {
    const session = new DigestSession(mufasa);
    expect(session.challenged(challenge(401, 'Digest realm="thief", nonce="n"'), false)).toBe(false);
  });

  test('whose credentials are for one realm gives them to no other from the start', () => {
    const session = new DigestSession({ ...mufasa, realm: 'pbx' });
    expect(session.challenged(challenge(401, 'Digest realm="thief", nonce="n"'), true)).toBe(false);
    expect(session.challenged(first, true)).toBe(true);
  });
});
