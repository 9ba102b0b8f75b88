//! The server that speaks.

use std::io::{Read, Write};
use std::net::TcpStream;

use openssl::derive::Deriver;
use openssl::hash::{MessageDigest, hash};
use openssl::pkey::{Id, PKey, Private};
use openssl::sign::Signer;
use openssl::symm::{Cipher, Crypter, Mode};

use super::{OFFER, kexinit, put_string, string};

pub(crate) const VERSION: &str = "SSH-2.0-OpenSSH_hostile";

/// An ed25519 host key.
#[derive(Clone)]
pub(crate) struct HostKey(PKey<Private>);

impl HostKey {
    pub(crate) fn new() -> Self {
        HostKey(PKey::generate_ed25519().unwrap())
    }

    pub(crate) fn blob(&self) -> Vec<u8> {
        [
            string(b"ssh-ed25519"),
            string(&self.0.raw_public_key().unwrap()),
        ]
        .concat()
    }

    pub(crate) fn line(&self) -> String {
        format!(
            "ssh-ed25519 {}",
            openssl::base64::encode_block(&self.blob())
        )
    }

    fn sign(&self, data: &[u8]) -> Vec<u8> {
        let mut signer = Signer::new_without_digest(&self.0).unwrap();
        let signature = signer.sign_oneshot_to_vec(data).unwrap();
        [string(b"ssh-ed25519"), string(&signature)].concat()
    }
}

struct Direction {
    cipher: Crypter,
    mac: PKey<Private>,
}

/// One connection, as its server.
pub(crate) struct Peer {
    stream: TcpStream,
    client_version: Vec<u8>,
    session_id: Vec<u8>,
    receive: Option<Direction>,
    send: Option<Direction>,
    received: u32,
    sent: u32,
    /// What is to be sent in one write.
    corked: Option<Vec<u8>>,
}

/// The other side hung up, which is what these tests hope for.
#[derive(Debug)]
pub(crate) struct Gone;

pub(crate) type Done<T = ()> = Result<T, Gone>;

impl Peer {
    /// Exchanges versions.
    pub(crate) fn greet(stream: TcpStream) -> Done<Self> {
        let mut peer = Peer {
            stream,
            client_version: Vec::new(),
            session_id: Vec::new(),
            receive: None,
            send: None,
            received: 0,
            sent: 0,
            corked: None,
        };
        peer.write(format!("{VERSION}\r\n").as_bytes())?;
        let mut byte = [0];
        while byte[0] != b'\n' {
            peer.read(&mut byte)?;
            peer.client_version.push(byte[0]);
        }
        while peer.client_version.ends_with(b"\r") || peer.client_version.ends_with(b"\n") {
            peer.client_version.pop();
        }
        Ok(peer)
    }

    /// Up to the login, which always succeeds.
    pub(crate) fn let_in(stream: TcpStream, key: &HostKey) -> Done<Self> {
        let mut peer = Self::greet(stream)?;
        peer.welcome(key)?;
        Ok(peer)
    }

    fn welcome(&mut self, key: &HostKey) -> Done {
        self.exchange(key)?;
        self.expect(5)?;
        self.send(&[&[6][..], &string(b"ssh-userauth")].concat())?;
        self.expect(50)?;
        self.send(&[52])
    }

    /// Up to a command that runs; returns the client's number of the channel.
    pub(crate) fn running(stream: TcpStream, key: &HostKey) -> Done<(Self, u32)> {
        Self::greet(stream)?.run(key)
    }

    /// As [`Peer::running`], after the versions.
    pub(crate) fn run(mut self, key: &HostKey) -> Done<(Self, u32)> {
        self.welcome(key)?;
        let channel = self.confirm_channel()?;
        let request = self.expect(98)?;
        assert!(request.windows(4).any(|w| w == b"exec"));
        self.send(&[&[99][..], &channel.to_be_bytes()].concat())?;
        Ok((self, channel))
    }

    /// Answers a request for a channel with a window and a packet size.
    pub(crate) fn confirm_channel(&mut self) -> Done<u32> {
        let open = self.expect(90)?;
        self.confirm(&open, 0)
    }

    /// Answers this one, with a number of its own; returns the client's.
    pub(crate) fn confirm(&mut self, open: &[u8], own: u32) -> Done<u32> {
        let kind = u32::from_be_bytes(open[1..5].try_into().unwrap()) as usize;
        let channel = u32::from_be_bytes(open[5 + kind..9 + kind].try_into().unwrap());
        let numbers = [channel, own, 1 << 20, 32768];
        let mut answer = vec![91];
        numbers
            .iter()
            .for_each(|n: &u32| answer.extend_from_slice(&n.to_be_bytes()));
        self.send(&answer)?;
        Ok(channel)
    }

    /// A whole key exchange as its server; the first, or a later one.
    pub(crate) fn exchange(&mut self, key: &HostKey) -> Done {
        self.exchange_bent(key, |_| {})
    }

    /// As [`Peer::exchange`], with the last word on the reply to the client.
    pub(crate) fn exchange_bent(&mut self, key: &HostKey, bend: impl FnOnce(&mut Vec<u8>)) -> Done {
        self.exchange_whole(key, bend, |_| Ok(()))
    }

    /// A key exchange whose last packets are sent together with what `more` sends.
    pub(crate) fn exchange_and(
        &mut self,
        key: &HostKey,
        more: impl FnOnce(&mut Self) -> Done,
    ) -> Done {
        self.exchange_whole(key, |_| {}, more)
    }

    fn exchange_whole(
        &mut self,
        key: &HostKey,
        bend: impl FnOnce(&mut Vec<u8>),
        more: impl FnOnce(&mut Self) -> Done,
    ) -> Done {
        let ours = kexinit(OFFER);
        self.send(&ours)?;
        let theirs = self.expect(20)?;
        let init = self.expect(30)?;
        let client_public = init[5..].to_vec();
        let own = PKey::generate_x25519().unwrap();
        let public = own.raw_public_key().unwrap();
        let their_key = PKey::public_key_from_raw_bytes(&client_public, Id::X25519).unwrap();
        let mut deriver = Deriver::new(&own).unwrap();
        deriver.set_peer(&their_key).unwrap();
        let secret = mpint(&deriver.derive_to_vec().unwrap());
        let mut transcript = Vec::new();
        for part in [
            &self.client_version[..],
            VERSION.as_bytes(),
            &theirs,
            &ours,
            &key.blob(),
            &client_public,
            &public,
        ] {
            put_string(&mut transcript, part);
        }
        transcript.extend_from_slice(&secret);
        let digest = hash(MessageDigest::sha256(), &transcript).unwrap().to_vec();
        let mut reply = vec![31];
        put_string(&mut reply, &key.blob());
        put_string(&mut reply, &public);
        put_string(&mut reply, &key.sign(&digest));
        bend(&mut reply);
        self.corked = Some(Vec::new());
        self.send(&reply)?;
        self.send(&[21])?;
        if self.session_id.is_empty() {
            self.session_id.clone_from(&digest);
        }
        let derive = |letter: u8| {
            let all = [&secret[..], &digest, &[letter], &self.session_id].concat();
            hash(MessageDigest::sha256(), &all).unwrap().to_vec()
        };
        let direction = |iv: u8, cipher: u8, mac: u8, mode| Direction {
            cipher: Crypter::new(
                Cipher::aes_128_ctr(),
                mode,
                &derive(cipher)[..16],
                Some(&derive(iv)[..16]),
            )
            .unwrap(),
            mac: PKey::hmac(&derive(mac)).unwrap(),
        };
        let send = direction(b'B', b'D', b'F', Mode::Encrypt);
        let receive = direction(b'A', b'C', b'E', Mode::Decrypt);
        self.send = Some(send);
        more(self)?;
        let together = self.corked.take().unwrap_or_default();
        self.write(&together)?;
        self.expect(21)?;
        self.receive = Some(receive);
        Ok(())
    }

    /// The next packet of this type; others are passed over.
    pub(crate) fn expect(&mut self, kind: u8) -> Done<Vec<u8>> {
        loop {
            let payload = self.recv()?;
            if payload.first() == Some(&kind) {
                return Ok(payload);
            }
        }
    }

    pub(crate) fn recv(&mut self) -> Done<Vec<u8>> {
        let block = if self.receive.is_some() { 16 } else { 8 };
        let mut packet = vec![0; block];
        self.read(&mut packet)?;
        self.decrypt(&mut packet);
        let length = u32::from_be_bytes(packet[..4].try_into().unwrap()) as usize;
        let mut rest = vec![0; 4 + length - block];
        self.read(&mut rest)?;
        self.decrypt(&mut rest);
        packet.extend_from_slice(&rest);
        if let Some(direction) = &self.receive {
            let mac = mac_of(&direction.mac, self.received, &packet);
            let mut theirs = vec![0; 32];
            self.read(&mut theirs)?;
            assert_eq!(mac, theirs, "the client's MAC");
        }
        self.received = self.received.wrapping_add(1);
        let padding = usize::from(packet[4]);
        Ok(packet[5..4 + length - padding].to_vec())
    }

    pub(crate) fn send(&mut self, payload: &[u8]) -> Done {
        let packet = self.seal(payload);
        self.write(&packet)
    }

    /// The packet as it goes over the wire.
    pub(crate) fn seal(&mut self, payload: &[u8]) -> Vec<u8> {
        let mut padding = 16 - (payload.len() + 5) % 16;
        if padding < 4 {
            padding += 16;
        }
        let mut packet = ((payload.len() + padding + 1) as u32)
            .to_be_bytes()
            .to_vec();
        packet.push(padding as u8);
        packet.extend_from_slice(payload);
        packet.resize(packet.len() + padding, 0);
        if let Some(direction) = &mut self.send {
            let mac = mac_of(&direction.mac, self.sent, &packet);
            let mut sealed = vec![0; packet.len() + 16];
            let count = direction.cipher.update(&packet, &mut sealed).unwrap();
            sealed.truncate(count);
            sealed.extend_from_slice(&mac);
            packet = sealed;
        }
        self.sent = self.sent.wrapping_add(1);
        packet
    }

    /// A packet that claims to be this long, whatever follows it.
    pub(crate) fn send_length(&mut self, length: u32) -> Done {
        let mut block = length.to_be_bytes().to_vec();
        block.extend_from_slice(&[4, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        if let Some(direction) = &mut self.send {
            let mut sealed = vec![0; 32];
            let count = direction.cipher.update(&block, &mut sealed).unwrap();
            block = sealed[..count].to_vec();
        }
        self.write(&block)
    }

    pub(crate) fn data(&mut self, channel: u32, bytes: &[u8]) -> Done {
        let mut payload = vec![94];
        payload.extend_from_slice(&channel.to_be_bytes());
        put_string(&mut payload, bytes);
        self.send(&payload)
    }

    pub(crate) fn stderr(&mut self, channel: u32, bytes: &[u8]) -> Done {
        let mut payload = vec![95];
        payload.extend_from_slice(&channel.to_be_bytes());
        payload.extend_from_slice(&1_u32.to_be_bytes());
        put_string(&mut payload, bytes);
        self.send(&payload)
    }

    /// Exit status 0, end of file, close: what a success looks like.
    pub(crate) fn succeed(&mut self, channel: u32) -> Done {
        self.exit(channel, 0)
    }

    pub(crate) fn exit(&mut self, channel: u32, code: u32) -> Done {
        let mut status = vec![98];
        status.extend_from_slice(&channel.to_be_bytes());
        put_string(&mut status, b"exit-status");
        status.push(0);
        status.extend_from_slice(&code.to_be_bytes());
        self.send(&status)?;
        self.send(&[&[96][..], &channel.to_be_bytes()].concat())?;
        self.send(&[&[97][..], &channel.to_be_bytes()].concat())
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> Done {
        if let Some(corked) = &mut self.corked {
            corked.extend_from_slice(bytes);
            return Ok(());
        }
        self.stream.write_all(bytes).map_err(|_| Gone)
    }

    /// Reads what comes, for as long as anything does.
    pub(crate) fn listen(&mut self) {
        while self.recv().is_ok() {}
    }

    /// Waits for the other side to hang up.
    pub(crate) fn linger(&mut self) {
        let mut sink = [0; 4096];
        while self.stream.read(&mut sink).is_ok_and(|count| count > 0) {}
    }

    fn read(&mut self, into: &mut [u8]) -> Done {
        self.stream.read_exact(into).map_err(|_| Gone)
    }

    fn decrypt(&mut self, bytes: &mut [u8]) {
        if let Some(direction) = &mut self.receive {
            let mut plain = vec![0; bytes.len() + 16];
            let count = direction.cipher.update(bytes, &mut plain).unwrap();
            bytes.copy_from_slice(&plain[..count]);
        }
    }
}

fn mac_of(key: &PKey<Private>, sequence: u32, packet: &[u8]) -> Vec<u8> {
    let mut signer = Signer::new(MessageDigest::sha256(), key).unwrap();
    signer.update(&sequence.to_be_bytes()).unwrap();
    signer.update(packet).unwrap();
    signer.sign_to_vec().unwrap()
}

/// RFC 4251 §5: without leading zeros, and with one where the top bit would be a sign.
fn mpint(bytes: &[u8]) -> Vec<u8> {
    let start = bytes.iter().position(|&b| b != 0).unwrap_or(bytes.len());
    let mut number = bytes[start..].to_vec();
    if number.first().is_some_and(|b| b & 0x80 != 0) {
        number.insert(0, 0);
    }
    string(&number)
}
