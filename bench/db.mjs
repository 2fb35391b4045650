const dir=process.argv[2];
const {enroll}=await import(`${dir}/services/est-ca/src/domain/enrollment/enroll.ts`);
const {leafSigner,publicUrls}=await import(`${dir}/services/est-ca/src/domain/certificate/leaf-signer.ts`);
const {defaultProfile}=await import(`${dir}/services/est-ca/src/domain/profile/profile.ts`);
const pki=await import(`${dir}/libs/pki/src/index.ts`);
import {createHash,randomBytes} from 'node:crypto';
const now=Date.now();
const key=pki.keySigner(pki.generateKeyPair('P-256').privateKey);
const cert=await pki.issueRoot({subject:{commonName:'CA'},signer:key,issuedAt:now,notAfter:now+3650*864e5});
const document={id:'issuing',notAfter:new Date(now+3650*864e5).toISOString()};
const held={document,certificate:cert,signer:key};
const ring={forAccount:()=>held,byId:()=>held};
const signer=leafSigner(ring,publicUrls('http://ca.example'),1);
const N=1000;
const mk=n=>Array.from({length:n},(_,i)=>{const secret=randomBytes(20).toString('hex');const deviceId=`d-${i}`;
 return {secret,deviceId,csr:pki.createCsr({subject:{commonName:deviceId,organization:'bench'},privateKey:pki.generateKeyPair('P-256').privateKey}),
 grant:{id:`bench/${deviceId}`,account:'bench',deviceId,profile:'default',fingerprint:'f'.repeat(64),secretHash:createHash('sha256').update(secret).digest('hex'),serialNumber:pki.newSerialNumber(),createdAt:new Date(now).toISOString(),expiresAt:new Date(now+9e8).toISOString()}}});
const all=mk(N*2+500);const bySecret=new Map(all.map(a=>[a.grant.secretHash,a.grant]));
const profile=defaultProfile('bench',{validityDays:90});
const deps={grants:{find:async q=>({items:[bySecret.get(q.equals.secretHash)]})},certificates:{get:async()=>undefined,insert:async()=>{}},grantUses:{get:async()=>undefined,insert:async()=>{}},renewals:{},secretUses:{},requests:{},findProfile:async()=>profile,findDevice:async()=>{},signer,trustDomain:'signet.example',askWebhook:async()=>{},now:()=>now};
const go=async list=>{const a=process.cpuUsage();for(const {secret,deviceId,csr} of list)await enroll(deps,{csr,label:undefined,basic:{username:deviceId,password:secret},peer:undefined,channelBinding:()=>undefined});const u=process.cpuUsage(a);return (u.user+u.system)/list.length};
await go(all.slice(0,500));const rows=[];for(let i=0;i<2;i++)rows.push(await go(all.slice(500+i*N,500+(i+1)*N)));
console.log(dir,'enroll domain min',Math.min(...rows).toFixed(0),'us');
if(process.env.PROF){const {Session}=await import('node:inspector/promises');const s=new Session();s.connect();await s.post('Profiler.enable');await s.post('Profiler.setSamplingInterval',{interval:200});await s.post('Profiler.start');for(let i=0;i<3;i++)await go(all.slice(500));const {profile:p}=await s.post('Profiler.stop');(await import('node:fs')).writeFileSync(process.env.PROF,JSON.stringify(p))}
